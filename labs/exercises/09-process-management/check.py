"""Check the reader's image: does it stop, does it finish its job, does it reap?"""

from __future__ import annotations

from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome
from proving.image import Image
from proving.lab import Lab


def check(lab: Lab, image: Image) -> Answer:
    """Judge by outcomes alone: any way to a graceful stop without zombies passes."""
    try:
        with lab.start(image, ready="^ready", ready_seconds=20) as app:
            first, zombies = app.process(1), app.zombies()
            stop = app.stop_gracefully(lab.grace_seconds)
            finished = "stopped" in app.log_text()
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))
    if stop.killed:
        return Answer(
            Outcome.FAILED,
            f"TERM did not reach the application: PID 1 is `{first.args}`, which neither handles "
            f"it nor passes it on. The engine had to kill it after {stop.seconds:.1f} s.",
        )
    if not finished or stop.exit_status:
        return Answer(
            Outcome.HINT,
            f"It ended in {stop.seconds:.1f} s with exit status {stop.exit_status}, but the "
            "application never finished its job: TERM ended a shell between PID 1 and the "
            "application. Who is the child of PID 1?",
        )
    if zombies:
        return Answer(
            Outcome.HINT,
            f"It stops gracefully, but {zombies} zombies wait for PID 1 (`{first.comm}`). "
            "The shell that you have removed was collecting them. What else can?",
        )
    return Answer(
        Outcome.PASSED,
        f"It stops in {stop.seconds:.1f} s with exit status 0, its job done, and no zombies.",
    )
