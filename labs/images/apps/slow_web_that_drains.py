"""The slow web server, which on TERM takes no more requests and finishes those that it has."""

import logging
import signal
import threading
from types import FrameType

from slow_web import server


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End serve_forever(), from another thread since shutdown() waits for that end."""
    threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, stop)

logging.info("ready")
server.serve_forever()
server.server_close()  # closes the listening socket, then waits for the handlers' threads
logging.info("drained")
