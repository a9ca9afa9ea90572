"""A room on a shared machine: its settings, its codes, its configuration and the trainer's view."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import requests
from docker.errors import APIError, NotFound
from proving import bases, terminal
from proving.errors import EngineError, ProvingError
from proving.room import (
    codes,
    command,
    ground,
    image,
    record,
    seat,
    settings,
    share,
    trial,
    view,
    weight,
)
from proving.room.record import SeatTried, Tried
from proving.room.settings import Settings
from waiting import until

SECRET = b"a secret of sixteen letters or more"
GIB = weight.GIB
EXPORT = {
    "format": "proving-ground.progress/1",
    "exported_at": "2026-01-02T10:00:00Z",
    "name": "Ada",
    "preflight": None,
    "claims": [
        {
            "id": "P1",
            "proved_at": "2026-01-02T09:00:00Z",
            "last": "holds",
            "last_at": "2026-01-02T09:30:00Z",
            "engine_version": "28.0",
        }
    ],
    "exercises": [],
}


def of(*arguments):
    return command.settings_of(command._options(arguments))


def shown(places):
    return terminal.text_of(view.report(places), width=160)


def test_a_number_of_seats_is_named_and_names_are_taken():
    """Seats are counted from one, with as many digits as sort well."""
    assert ("seat01", "seat02") == command.seats_of("2")
    assert ("ada", "grace") == command.seats_of("ada, grace")


@pytest.mark.parametrize("name", ["", "Ada", "a-b", "1a", "a/b", "trainer", "a" * 32, "a\n"])
def test_a_name_that_an_engine_or_a_hub_would_stumble_over_is_refused(name):
    """Names become names of containers, networks and volumes."""
    with pytest.raises(ProvingError):
        Settings(seats=(name,), image="room")


def test_seats_of_the_same_name_are_refused():
    """They would share a container."""
    with pytest.raises(ProvingError, match="same name"):
        Settings(seats=("ada", "ada"), image="room")


def test_every_seat_has_a_network_of_its_own_and_none_is_the_hubs():
    """No two networks overlap, so that the engine keeps them apart."""
    room = Settings(seats=command.seats_of("40"), image="room")
    networks = [room.hub_network, *(room.network_of(name) for name in room.everybody)]

    assert len(networks) == len(set(networks))
    assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)
    assert room.hub_address == str(next(room.hub_network.hosts()))


def test_more_seats_than_networks_are_refused():
    """The sentence says which option gives more."""
    with pytest.raises(ProvingError, match="--subnet"):
        Settings(seats=command.seats_of("20"), image="room", subnet="10.1.0.0/24")


def test_settings_travel_through_the_environment(monkeypatch):
    """The hub's configuration gets what the command line has said."""
    room = Settings(seats=("ada",), image="room", memory="3G", certificate="/c", key="/k")
    for name, text in room.environment().items():
        monkeypatch.setenv(name, text)

    assert room == settings.of_environment()


def test_a_hub_that_is_started_without_its_settings_says_how_it_is_started(monkeypatch):
    """Somebody may run the configuration by hand."""
    monkeypatch.delenv(settings.VARIABLE, raising=False)

    with pytest.raises(ProvingError, match="nox -s hub"):
        settings.of_environment()


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_a_secret_that_can_be_guessed_is_refused(monkeypatch, secret):
    """Codes are only as good as what they are made of."""
    monkeypatch.delenv(settings.SECRET_VARIABLE, raising=False)
    if secret is not None:
        monkeypatch.setenv(settings.SECRET_VARIABLE, secret)

    with pytest.raises(ProvingError, match="16"):
        settings.secret_of_environment()


def test_a_code_opens_its_own_seat_and_no_other():
    """Somebody who knows one code knows nothing about the next."""
    code = codes.code_of(SECRET, "ada")

    assert codes.is_code_of(SECRET, "ada", code)
    assert not codes.is_code_of(SECRET, "grace", code)
    assert not codes.is_code_of(b"another secret of some length", "ada", code)
    assert not codes.is_code_of(SECRET, "ada", "")


def test_a_code_may_be_typed_as_people_type():
    """Small letters, missing dashes and blanks do not matter."""
    code = codes.code_of(SECRET, "ada")

    assert codes.is_code_of(SECRET, "ada", f" {code.lower().replace('-', ' ')} ")


def test_a_seat_may_be_typed_as_people_type():
    """A telephone begins with a capital letter, and ends with a blank."""
    from proving.room.authenticator import SeatAuthenticator

    door = SeatAuthenticator(room_secret=SECRET, allowed_users={"ada"})
    typed = {"username": " Ada ", "password": codes.code_of(SECRET, "ada")}

    assert "ada" == asyncio.run(door.authenticate(None, typed))


def test_people_sign_in_by_their_seat_and_its_code():
    """The hub's authenticator answers with the seat, or lets nobody in."""
    from proving.room.authenticator import SeatAuthenticator

    door = SeatAuthenticator(room_secret=SECRET, allowed_users={"ada"})
    right = {"username": "ada", "password": codes.code_of(SECRET, "ada")}
    wrong = {"username": "ada", "password": codes.code_of(SECRET, "grace")}

    assert "ada" == asyncio.run(door.authenticate(None, right))
    assert asyncio.run(door.authenticate(None, wrong)) is None
    assert asyncio.run(door.authenticate(None, {})) is None


def test_nobody_signs_in_where_there_is_no_secret():
    """An empty secret would make codes that anybody can reckon."""
    from proving.room.authenticator import SeatAuthenticator

    door = SeatAuthenticator(allowed_users={"ada"})
    told = {"username": "ada", "password": codes.code_of(b"", "ada")}

    assert asyncio.run(door.authenticate(None, told)) is None


def test_a_room_is_on_loopback_unless_serving_was_asked_for():
    """Nothing but an option opens it to a network."""
    assert "127.0.0.1" == of().address


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.2", "::", "room.example"])
def test_a_room_is_not_served_in_the_open_by_accident(address):
    """Codes that cross a network unencrypted are everybody's."""
    with pytest.raises(ProvingError, match="--tls-cert"):
        of("--address", address)

    assert address == of("--address", address, "--plain-http").address
    assert of("--address", address, "--tls-cert", "c", "--tls-key", "k").certificate


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("0.0.0.0", "http://192.0.2.7:8000"),
        ("::", "http://192.0.2.7:8000"),
        ("2001:db8::1", "http://[2001:db8::1]:8000"),
        ("room.example", "http://room.example:8000"),
    ],
)
def test_the_address_that_is_shown_is_one_that_people_can_open(monkeypatch, address, shown):
    """Nobody opens 0.0.0.0, and one of IPv6 stands in brackets."""
    monkeypatch.setattr("proving.kit.room.own_address", lambda: "192.0.2.7")
    text = command.welcome(of("--address", address, "--plain-http"), SECRET)

    assert f" {shown}\n" in text


@pytest.mark.parametrize(
    "arguments", [["--trial", "0"], ["--trial", "x"], ["--subnet", "x"], ["--subnet", "10.0.0.1/8"]]
)
def test_a_slip_in_an_option_is_told(capsys, arguments):
    """And opens no room."""
    with pytest.raises(SystemExit):
        command._options(arguments)

    assert "give" in capsys.readouterr().err


def test_a_trial_has_the_bounds_that_were_asked_for(monkeypatch):
    """And a subnet of its own where none was."""
    tried = []
    monkeypatch.setattr(trial, "run", lambda room, *, keep: tried.append((room, keep)) or 0)
    options = ("--memory", "3G", "--cpus", "2", "--subnet", "10.1.0.0/20")
    command.main(["--trial", "2", *options])
    command.main(["--trial", "1", "--record"])
    (first, _), (second, keep) = tried

    assert ("3G", 2.0, "10.1.0.0/20") == (first.memory, first.cpus, first.subnet)
    assert ("seat01", "seat02") == first.seats
    assert settings.Settings.subnet != second.subnet
    assert keep


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seats", "12"], "--seats does not go with --trial"),  # though it is the usual number
        (["--address", "0.0.0.0"], "--address does not go with --trial"),
        (["--port", "9000"], "--port does not go with --trial"),
        (["--tls-key", "k"], "--tls-key does not go with --trial"),
        (["--plain-http"], "--plain-http does not go with --trial"),
        (["--idle-minutes", "5"], "--idle-minutes does not go with --trial"),
        (["--yes"], "--yes does not go with --trial"),
    ],
)
def test_what_a_trial_would_not_heed_is_refused(capsys, words, told):
    """Who asks for it would believe that it was tried."""
    with pytest.raises(SystemExit) as refused:
        command._options(["--trial", "2", *words])

    assert 2 == refused.value.code
    assert told in capsys.readouterr().err


def test_only_a_trial_is_recorded(capsys):
    """A room that opens measures nothing."""
    with pytest.raises(SystemExit):
        command._options(["--record"])

    assert "give --trial N as well" in capsys.readouterr().err


def test_half_a_certificate_is_refused():
    """The proxy would serve without encryption."""
    with pytest.raises(ProvingError, match="together"):
        of("--tls-cert", "c")


def test_what_is_shown_has_every_code_and_the_environment_has_none():
    """Codes are shown once; the room's settings hold only what they are made of elsewhere."""
    room = of("--seats", "ada,grace")
    text = command.welcome(room, SECRET)

    for name in ("ada", "grace", "trainer"):
        assert codes.code_of(SECRET, name) in text
    assert SECRET.decode() not in text
    assert SECRET.decode() not in "".join(room.environment().values())


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Return the hub's configuration as Jupyter reads it, without an engine."""
    from traitlets.config import PyFileConfigLoader

    made = []
    monkeypatch.setattr(settings, "STATE", tmp_path)
    monkeypatch.setattr(ground.Ground, "make_hub_network", lambda self: made.append("hub"))
    monkeypatch.setattr(ground.Ground, "make_seat", lambda self, name: f"net-{name}")
    monkeypatch.setattr("proving.engine.of_environment", lambda: SimpleNamespace(docker=None))
    room = of("--seats", "ada,grace", "--memory", "3G")
    for name, text in {**room.environment(), settings.SECRET_VARIABLE: SECRET.decode()}.items():
        monkeypatch.setenv(name, text)
    config = PyFileConfigLoader(command.CONFIGURATION.name, str(image.HUB)).load_config()

    assert ["hub"] == made
    return config


def test_the_configuration_names_only_settings_that_there_are(configured):
    """A setting with a slip in its name would be ignored, and its limit with it."""
    from dockerspawner import DockerSpawner
    from jupyterhub.app import JupyterHub
    from jupyterhub.proxy import ConfigurableHTTPProxy
    from proving.room.authenticator import SeatAuthenticator

    known = {
        one.__name__: one.class_traits(config=True)
        for one in (DockerSpawner, JupyterHub, ConfigurableHTTPProxy, SeatAuthenticator)
    }

    for section, chosen in configured.items():
        assert set(chosen) <= set(known[section])


def test_the_hub_and_its_proxy_listen_where_only_this_machine_is(configured):
    """The proxy on loopback, its API too, and the hub at an address of the seats' networks."""
    assert configured.JupyterHub.bind_url == "http://127.0.0.1:8000"
    assert configured.ConfigurableHTTPProxy.api_url.startswith("http://127.0.0.1:")
    assert configured.JupyterHub.hub_ip == "10.214.0.1"


def test_a_seat_is_limited_publishes_nothing_and_is_not_privileged(configured):
    """It has named capabilities, bounds of memory, processors and processes, and no mount."""
    seat_ = configured.DockerSpawner
    host = seat_.extra_host_config

    assert set(host["cap_add"]) == {"SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_PTRACE"}
    assert "privileged" not in host
    assert seat_.use_internal_ip
    assert "3G" == seat_.mem_limit == host["memswap_limit"]
    assert seat_.cpu_limit == 1.0
    assert host["pids_limit"] > 0
    assert not any(volume.startswith("/") for volume in seat_.volumes)


def test_each_seat_starts_in_its_own_network(configured):
    """The hook gives it before the container is made."""
    spawner = SimpleNamespace(user=SimpleNamespace(name="ada"), network_name="bridge")
    configured.DockerSpawner.pre_spawn_hook(spawner)

    assert "net-ada" == spawner.network_name


def test_a_trainer_looks_into_no_seat(configured):
    """The role starts and stops servers; nobody but the seat's own person has access to one."""
    roles = {role["name"]: role["scopes"] for role in configured.JupyterHub.load_roles}

    assert not any(scope.startswith("access:") for scope in roles["trainer"])
    assert "admin_users" not in configured.SeatAuthenticator


def test_an_idle_seat_is_stopped(configured):
    """The culler may stop servers, and is told when."""
    (culler,) = configured.JupyterHub.services

    assert "--timeout=3600" in culler["command"]
    assert any("delete:servers" in role["scopes"] for role in configured.JupyterHub.load_roles)


def test_name_servers_that_only_the_machine_itself_has_are_passed_over(tmp_path):
    """A seat has no way to the machine's loopback."""
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    real.write_text("# made\nnameserver 10.1.2.3\nnameserver\nsearch x\nnameserver 10.1.2.4\n")

    assert ["10.1.2.3", "10.1.2.4"] == ground.name_servers([stub, tmp_path / "none", real])
    assert [] == ground.name_servers([stub])


def test_a_seat_installs_what_the_labs_need_and_the_hubs_own_version():
    """Neither the site's builder nor the tests are there."""
    listed = (image.ROOT / "requirements.txt").read_text(encoding="utf-8")
    told = image.requirements(listed, "6.1.1").splitlines()

    assert "jupyterhub==6.1.1" in told
    assert any(line.startswith("jupyterlab") for line in told)
    assert any(line.startswith("rich") for line in told)
    assert not any(line.startswith(("sphinx", "pytest", "#", "dockerspawner")) for line in told)


def test_a_seat_is_built_from_a_base_and_starts_by_a_script_that_a_shell_can_read():
    """The Dockerfile takes its base by role, and the script has no slip."""
    script = image.HUB / "start-seat.sh"

    assert ["PYTHON"] == bases.roles_in(image.HUB / "Dockerfile")
    assert script.stat().st_mode & 0o111
    assert 0 == subprocess.run(["sh", "-n", script], check=False).returncode


def test_the_seats_server_leaves_signing_in_to_the_hub(monkeypatch, tmp_path):
    """It has the guide's settings, but neither an address nor a token of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    told = seat.configuration()

    assert not {"ip", "port"} & set(told.ServerApp)
    assert "token" not in told.IdentityProvider
    assert told.ServerApp.default_url == "/site/"
    assert told.ServerApp.root_dir == str(tmp_path / "work")


def test_nothing_is_shared_before_somebody_says_so(monkeypatch, tmp_path, capsys):
    """Consent is given by a command, and taken back by another."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROVING_PROGRESS", str(tmp_path / "progress.jsonl"))

    assert share.NOT_SHARED == share.main(["--read"])
    assert "" == capsys.readouterr().out
    assert 0 == share.main([])
    capsys.readouterr()
    assert 0 == share.main(["--read"])
    assert "proving-ground.progress/1" == json.loads(capsys.readouterr().out)["format"]
    assert 0 == share.main(["--stop"])
    assert share.NOT_SHARED == share.main(["--read"])


def test_the_view_of_exports_tells_where_each_one_is(tmp_path):
    """By the chapter in which something was run last."""
    (tmp_path / "ada.json").write_text(json.dumps(EXPORT))
    (tmp_path / "broken.json").write_text("{")
    places = view.of_folder(tmp_path)
    text = shown(places)

    assert places[0].where.startswith("9 ·")
    assert "Ada" in text
    assert "2026-01-02 09:30:00" in text
    assert "no export of a progress" in text


def test_the_view_counts_the_two_exercises_of_a_chapter_apart(tmp_path):
    """A chapter's second one is done by fewer people, and no measure of who keeps up."""
    passed = {"passed_at": "2026-01-02T09:40:00Z", "last": "passed", "engine_version": "28.0"}
    names = ("09-process-management", "04-layer-size", "09-worker-pool")
    done = [{"id": name, "last_at": "2026-01-02T09:40:00Z", **passed} for name in names]
    (tmp_path / "ada.json").write_text(json.dumps({**EXPORT, "exercises": done}))
    heading, row = shown(view.of_folder(tmp_path)).splitlines()[1:3]

    assert re.search(r"Your turn +Your turn again", heading)
    assert ["2", "1"] == re.findall(r"(\d+) of \d+", row)[1:]


def test_a_folder_without_exports_says_how_to_get_some(tmp_path):
    """An empty table would look like a room in which nobody has begun."""
    with pytest.raises(ProvingError, match="--export"):
        view.of_folder(tmp_path)


class FakeContainer:
    """A seat's container that tells what it was given."""

    def __init__(self, name, told, status=0):
        self.name = f"proving-room-{name}"
        self.labels = {ground.SEAT_LABEL: name}
        self.told, self.status, self.asked = told, status, []
        self.id = name
        self.client = SimpleNamespace(api=self)

    def exec_create(self, _container, words, **options):
        self.asked.append((words, options))
        return {"Id": "1"}

    def exec_start(self, _id, **_):
        yield from (self.told[start : start + 4096] for start in range(0, len(self.told), 4096))

    def exec_inspect(self, _id):
        return {"ExitCode": self.status}


def answer(kind, status, explanation="in use"):
    response = requests.Response()
    response.status_code = status
    return kind("no", response=response, explanation=explanation)


class FakeThing:
    """Something on an engine, which goes when it is removed unless something hinders that."""

    def __init__(self, shelf, name, subnet="", hindrance=None):
        self.shelf, self.name, self.hindrance = shelf, name, hindrance
        self.attrs = {"IPAM": {"Config": [{"Subnet": subnet}] if subnet else None}}
        shelf.append(self)

    def remove(self, **_):
        if self.hindrance is not None:
            raise self.hindrance
        self.shelf.remove(self)

    def wait(self, **_):
        raise answer(NotFound, 404)


class FakeEngine:
    """An engine's networks, containers and volumes."""

    def __init__(self):
        self.kept = {"networks": [], "containers": [], "volumes": []}
        for kind, shelf in self.kept.items():
            setattr(self, kind, SimpleNamespace(list=lambda shelf=shelf, **_: list(shelf)))
        self.networks.list = self._networks
        self.networks.create = self._create
        self.volumes.create = lambda name, **_: FakeThing(self.kept["volumes"], name)

    def add(self, kind, name, *rest):
        return FakeThing(self.kept[kind], name, *rest)

    def _networks(self, names=(), **_):
        found = self.kept["networks"]
        return [one for one in found if not names or f"^{one.name}$" in names]

    def _create(self, name, ipam, **_):
        self.add("networks", name, ipam["Config"][0]["Subnet"])

    def subnets(self):
        return {one.name: one.attrs["IPAM"]["Config"][0]["Subnet"] for one in self._networks()}


def land_of(client, *seats, **options):
    return ground.Ground(client, Settings(seats=seats, image="room", **options))


def test_a_network_with_other_addresses_is_made_again():
    """An earlier room may have had another subnet; what is right already stays."""
    client = FakeEngine()
    old = land_of(client, "ada", subnet="10.1.0.0/24")
    old.make_hub_network()
    old.make_seat("ada")
    new = land_of(client, "ada")
    for _ in range(2):
        new.make_hub_network()
        new.make_seat("ada")

    assert {
        "proving-room-hub": "10.214.0.0/28",
        "proving-room-ada": "10.214.0.32/28",
    } == client.subnets()


def test_seats_with_new_names_get_networks_that_are_free():
    """Those of earlier seats are kept with their work."""
    client = FakeEngine()
    for names in (("ada", "grace"), ("joan", "ada")):
        land = land_of(client, *names)
        land.make_hub_network()
        for name in names:
            land.make_seat(name)
    networks = [ipaddress.ip_network(subnet) for subnet in client.subnets().values()]

    assert 4 == len(networks)
    assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)


def test_a_room_whose_networks_are_all_taken_says_what_helps():
    """Earlier seats keep theirs."""
    client = FakeEngine()
    for number in range(1, 16):
        client.add("networks", f"proving-room-old{number}", f"10.1.0.{16 * number}/28")

    with pytest.raises(EngineError, match="--subnet"):
        land_of(client, "ada", subnet="10.1.0.0/24").make_seat("ada")


def test_a_network_with_other_addresses_that_is_in_use_is_told():
    """It cannot be made anew under a seat that runs."""
    client = FakeEngine()
    client.add("networks", "proving-room-hub", "10.9.0.0/28", answer(APIError, 403))

    with pytest.raises(EngineError, match="in use.*--clear"):
        land_of(client, "ada").make_hub_network()


def test_a_room_is_cleared_even_while_containers_go_by_themselves():
    """A container that is gone, or just going, hinders nothing."""
    client = FakeEngine()
    client.add("networks", "n", "10.1.0.0/28")
    client.add("volumes", "v")
    client.add("containers", "c")

    assert 3 == ground.clear(client)
    assert not any(client.kept.values())


@pytest.mark.parametrize(
    ("kind", "status"), [("networks", 403), ("containers", 500), ("volumes", 409)]
)
def test_what_is_left_of_a_room_is_told(kind, status):
    """By its name, and nothing is said to be gone that is not."""
    client = FakeEngine()
    client.add(kind, "proving-room-ada", "", answer(APIError, status, "the disk is on fire"))

    with pytest.raises(EngineError, match=r"proving-room-ada.*on fire"):
        ground.clear(client)


def test_a_container_that_does_not_go_in_time_is_told():
    """A sentence, and no traceback of what waits for it."""
    client = FakeEngine()

    def late(**_):
        raise requests.ReadTimeout

    client.add("containers", "proving-room-ada").wait = late
    with pytest.raises(EngineError, match="proving-room-ada was not gone"):
        ground.clear(client)


def test_clearing_takes_what_the_hub_has_kept(monkeypatch, tmp_path):
    """Its data base, too."""
    client = FakeEngine()
    client.add("volumes", "v")
    here = SimpleNamespace(docker=client, url="unix:///here")
    monkeypatch.setattr(settings, "STATE", tmp_path)
    monkeypatch.setattr(command.engine, "find", lambda **_: here)
    of().state.mkdir(parents=True)
    (of().state / "hub.sqlite").touch()

    assert 0 == command.main(["--clear", "--yes"])
    assert not settings.rooms().exists()
    assert 0 == command.main(["--clear", "--yes"])


SERVED = """
import signal, subprocess, sys
from pathlib import Path
from types import SimpleNamespace
from proving.room import command

folder = Path(sys.argv[1])
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[4]))
command.STOP_SECONDS = float(sys.argv[2])
removed = SimpleNamespace(remove_containers=(folder / "removed").touch)
command.ground.Ground = lambda *_: removed
command._state = lambda room: folder
command._environment = lambda *_: None
popen = subprocess.Popen
command.subprocess.Popen = lambda words, **options: popen([sys.executable, sys.argv[3]], **options)
here = SimpleNamespace(docker=None, url="")
command.ready = lambda: here
sys.exit(command.main([]))
"""
HUB = """
import signal, subprocess, sys, time
from pathlib import Path
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
other = [sys.executable, "-c", "import time; time.sleep(60)"]
proxy = subprocess.Popen(other, start_new_session=True)
def stop(*_):
    time.sleep(0.4)
    proxy.kill()
    proxy.wait()
    Path("stopped").touch()
    sys.exit()
if not {stubborn}:
    signal.signal(signal.SIGTERM, stop)
Path("part").write_text(str(proxy.pid))
Path("part").rename("proxy")
time.sleep(60)
"""


@contextmanager
def room_served(folder, *, stubborn, stop_seconds, hang_up="SIG_DFL"):
    """Run the command with a hub that only sleeps; yield its process and its proxy's."""
    served, hub = folder / "served.py", folder / "hub.py"
    served.write_text(SERVED)
    hub.write_text(HUB.format(stubborn=stubborn))
    process = subprocess.Popen(
        [sys.executable, served, folder, str(stop_seconds), hub, hang_up],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert any("Ctrl-C" in line for line in process.stdout)
        until((folder / "proxy").exists, 20)
        yield process, psutil.Process(int((folder / "proxy").read_text()))
    finally:
        if process.poll() is None:
            for one in (*psutil.Process(process.pid).children(recursive=True), process):
                one.kill()
            process.wait()
        process.stdout.close()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_whatever_ends_the_command_closes_the_room_in_order(tmp_path, name):
    """A second signal, as nox or a closed terminal sends it, does not cut the closing short."""
    with room_served(tmp_path, stubborn=False, stop_seconds=30) as (process, proxy):
        process.send_signal(getattr(signal, name))
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)

        assert 0 == process.wait(timeout=20)
        assert (tmp_path / "stopped").exists()
        assert (tmp_path / "removed").exists()
        assert not proxy.is_running()


def test_a_hub_that_does_not_stop_is_killed_with_its_proxy(tmp_path):
    """And the seats' containers are removed from outside."""
    with room_served(tmp_path, stubborn=True, stop_seconds=0.5) as (process, proxy):
        process.terminate()

        assert 0 == process.wait(timeout=20)
        psutil.wait_procs([proxy], timeout=5)
        assert not proxy.is_running() or proxy.status() == psutil.STATUS_ZOMBIE
        assert (tmp_path / "removed").exists()


def test_a_room_under_nohup_stays_open_when_its_terminal_closes(tmp_path):
    """What was ignored at the start is ignored."""
    options = {"stubborn": False, "stop_seconds": 30, "hang_up": "SIG_IGN"}
    with room_served(tmp_path, **options) as (process, _):
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.terminate()

        assert 0 == process.wait(timeout=20)


def seats_told(*containers):
    client = SimpleNamespace(containers=SimpleNamespace(list=lambda **_: list(containers)))
    return view.of_engine(client)


def test_the_view_of_a_room_shows_those_who_share_and_says_who_does_not():
    """A seat is asked as its participant, not as root."""
    ada = FakeContainer("ada", json.dumps(EXPORT).encode())
    grace = FakeContainer("grace", b"", share.NOT_SHARED)
    text = shown(seats_told(grace, ada))

    assert text.index("ada") < text.index("grace")
    assert "not shared" in text
    assert "reader" == ada.asked[0][1]["user"]


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"not JSON",
        b"[" * 100_000,
        json.dumps({**EXPORT, "extra": 1}).encode(),
        b"x" * (view.LONGEST_BYTES + 1),
    ],
    ids=["nothing", "no JSON", "deep", "more than the schema has", "large"],
)
def test_a_seat_that_tells_something_else_is_shown_without_it(told):
    """What a participant's container says is somebody else's text."""
    (place,) = seats_told(FakeContainer("ada", told))

    assert place.progress is None
    assert place.trouble


@pytest.mark.parametrize("error", [answer(NotFound, 404), answer(APIError, 409)])
def test_a_seat_that_is_culled_meanwhile_is_shown_as_stopped(error):
    """Between the list and the question it may be gone, or have ended."""
    container = FakeContainer("ada", b"")

    def gone(*_, **__):
        raise error

    container.exec_create = gone
    (place,) = seats_told(container)

    assert "just stopped" in shown([place])


def test_a_name_with_control_characters_does_not_reach_the_terminal():
    """A name may be anything."""
    (place,) = seats_told(FakeContainer("ada", json.dumps({**EXPORT, "name": "A\x1b[2J"}).encode()))

    assert "\x1b" not in shown([place])


def test_a_room_without_people_says_so():
    """There is nothing to show, which is no fault of the trainer's."""
    with pytest.raises(ProvingError, match="No seat"):
        seats_told()


def test_a_working_set_is_without_the_cache_that_can_be_given_back():
    """Under both versions of the control groups."""
    first = {"memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30}}}
    second = {"memory_stats": {"usage": 100, "stats": {"inactive_file": 40}}}

    assert 70 == weight.working_set(first)
    assert 60 == weight.working_set(second)
    assert 0 == weight.working_set({"memory_stats": {}})


def tried(*peaks):
    seats = tuple(SeatTried(10.0, 20.0, GIB // 4, peak, GIB) for peak in peaks)
    return Tried(
        "2026-01-02T10:00:00Z", "P1", {"cores": 2}, 24 * GIB, {"memory": "2G"}, seats, GIB // 2
    )


def test_as_many_seats_fit_as_the_largest_of_them_allows():
    """What the system and the hub need is left to them."""
    assert 22 == tried(GIB // 2, GIB).fit(24 * GIB)
    assert 0 == tried(GIB).fit(GIB)
    assert 22 == record.fit([tried(GIB), tried(GIB // 2)], 24 * GIB)


def test_what_a_trial_has_measured_is_kept_by_its_number_of_people(monkeypatch, tmp_path):
    """A trial with three does not throw away that with one."""
    monkeypatch.setattr(record, "FILE", tmp_path / "room.json")
    monkeypatch.setattr(record, "ROOT", tmp_path)
    one, two = tried(GIB), tried(GIB, 2 * GIB)
    record.keep(two)
    record.keep(one)

    assert [one, two] == record.recorded()


def test_no_file_of_the_room_holds_a_password():
    """Secrets come by the environment, or are made up and shown once."""
    for file in image.HUB.rglob("*"):
        text = file.read_text(encoding="utf-8") if file.is_file() else ""

        assert "password =" not in text.lower()
        assert "secret_token" not in text


@pytest.mark.engine
def test_two_people_in_a_room_do_not_see_each_other(engine):
    """They sign in, start and act by the hub's own addresses; the room leaves nothing."""
    from proving import leftovers

    here = command.ready()
    before = leftovers.inventory(here.docker)
    with trial.room(here, trial.settings_of(2)) as (_, land, visitors):
        trial.start_at_once(visitors)
        trial.see_that_seats_are_apart(land, visitors)
        visitors[0].run(trial.LAB, ["!share-progress"])
        first, second = view.of_seats(land.containers())
        state = Path(land.settings.state)

        assert state.stat().st_mode & 0o077 == 0
        assert first.progress is not None
        assert "not shared" == second.trouble
    after = leftovers.inventory(here.docker)

    assert before == after
    assert not state.exists()
