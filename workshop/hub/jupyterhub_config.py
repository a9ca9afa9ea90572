"""The hub of a room on one big machine; `nox -s hub` starts it and hands it its settings.

A seat is one container: JupyterLab, the guide and an engine of its own, which listens on a socket
within the container alone. The container is not privileged, but no cage for somebody who means
harm: guide/room.md says what it may do.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "labs"))

from proving import engine
from proving.room import authenticator, codes, ground, proxy, settings

c = get_config()  # noqa: F821 - the hub gives it to configuration files
room = settings.of_environment()
secret = settings.secret_of_environment()
here = ground.Ground(engine.of_environment().docker, room)
here.make_hub_network()
room.state.mkdir(mode=0o700, parents=True, exist_ok=True)

# -- Where it listens --------------------------------------------------------

# People come in by the proxy: on loopback, unless serving was asked for.
c.JupyterHub.bind_url = f"{'https' if room.certificate else 'http'}://{room.host}:{room.port}"
c.JupyterHub.ssl_cert = room.certificate
c.JupyterHub.ssl_key = room.key
c.ConfigurableHTTPProxy.command = proxy.command()
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{room.proxy_port}"
c.ConfigurableHTTPProxy.pid_file = str(room.state / "proxy.pid")
c.ConfigurableHTTPProxy.log_level = "error"

# Seats reach the hub's API at an address that only this machine's containers have a way to.
c.JupyterHub.hub_ip = room.hub_address
c.JupyterHub.hub_port = room.hub_port

# -- What it keeps -----------------------------------------------------------

c.JupyterHub.db_url = f"sqlite:///{room.state / 'hub.sqlite'}"
c.JupyterHub.cookie_secret = codes.cookie_secret(secret)  # derived: no file holds it
c.JupyterHub.log_level = "WARN"

# -- Who may come in ---------------------------------------------------------

c.JupyterHub.authenticator_class = authenticator.SeatAuthenticator
c.SeatAuthenticator.room_secret = secret
c.SeatAuthenticator.allowed_users = set(room.everybody)

# -- What a seat is ----------------------------------------------------------

c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = room.image
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.name_template = here.name_of("{username}")
c.DockerSpawner.remove = True  # the container; the volumes stay until `nox -s hub -- --clear`
c.DockerSpawner.use_internal_ip = True  # no port of a seat is published
c.DockerSpawner.default_url = "/site/"
c.DockerSpawner.volumes = here.volumes_of("{username}")
c.DockerSpawner.environment = {"SEAT_DNS": " ".join(ground.name_servers())}
c.DockerSpawner.extra_create_kwargs = {"labels": {**here.labels, ground.SEAT_LABEL: "{username}"}}
c.DockerSpawner.extra_host_config = {
    "cap_add": list(ground.CAPABILITIES),
    "security_opt": list(ground.UNCONFINED),
    "pids_limit": room.processes,
    "memswap_limit": room.memory,  # memory and swap together: no swap
}
c.DockerSpawner.mem_limit = room.memory
c.DockerSpawner.cpu_limit = room.cpus
c.DockerSpawner.http_timeout = 600  # until JupyterLab answers: many seats at once unpack bases
c.JupyterHub.concurrent_spawn_limit = 8


def give_a_network(spawner):
    """Put a seat into its own network before it starts."""
    spawner.network_name = here.make_seat(spawner.user.name)


c.DockerSpawner.pre_spawn_hook = give_a_network

# -- Seats that nobody uses, and who may stop them ---------------------------

idle_seconds = room.idle_minutes * 60
c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={idle_seconds}"],
    }
]
c.JupyterHub.load_roles = [
    {  # a trainer starts and stops servers, and looks into nobody's
        "name": "trainer",
        "users": [settings.TRAINER],
        "scopes": ["admin-ui", "list:users", "read:users", "read:servers", "servers", "read:hub"],
    },
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
]
