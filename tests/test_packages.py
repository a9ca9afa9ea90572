"""The package server's log is read as it is, and what it serves is what it was given."""

from __future__ import annotations

import io
import tarfile

import pytest
from proving import bases
from proving.errors import ContainerError, CouldNotMeasure
from proving.lab import Lab
from proving.packages import (
    PACKAGES,
    Request,
    archive,
    downloaded_bytes,
    parse_requests,
)
from proving.server import between

LOG = """\
GET /debian/./InRelease 404 153
GET /mark/one 204 0
GET /debian/./Release 200 1216
GET /debian/./greeting_1.0_all.deb 404 153
GET /mark/between 204 0
GET /debian/./greeting_1.1_all.deb 206 1000
GET /debian/./farewell_1.1_all.deb 200 302476
GET /mark/two 204 0
GET /debian/./weather_1.1_all.deb 200 302464
"""


def test_requests_are_read_in_order():
    """One line is one answered request; what else a log may hold is none."""
    text = "nginx: a notice\nGET /a%20b?c=d 200 12\n\nHEAD /a 304 0\n GET /x 200\n"

    assert (Request("/a%20b?c=d", 200, 12), Request("/a", 304, 0)) == parse_requests(text)


def test_only_what_lies_between_two_marks_is_served():
    """Requests before and after, and the marks themselves, are not the build's."""
    served = between(parse_requests(LOG), "one", "two")

    assert [1216, 153, 1000, 302476] == [request.body_bytes for request in served]


def test_a_mark_of_another_server_is_no_mark():
    """Without its beginning nothing can be counted: no figure is better than a wrong one."""
    with pytest.raises(CouldNotMeasure, match="take one with"):
        between(parse_requests(LOG), "unheard-of", "two")


def test_a_log_that_is_late_is_no_wrong_mark():
    """The cure is another: to measure again, not to take another mark."""
    late = parse_requests(LOG.partition("GET /mark/two")[0])
    with pytest.raises(CouldNotMeasure, match="late"):
        between(late, "one", "two")


def test_downloaded_bytes_are_those_of_files_that_were_sent():
    """The page of a 404 is no package, and an index is none either."""
    served = between(parse_requests(LOG), "one", "two")

    assert 1000 + 302476 == downloaded_bytes(served)
    assert 0 == downloaded_bytes(served, ".whl")


def test_an_archive_has_the_folders_of_its_files():
    """Everybody may enter them, as nginx's workers must."""
    with tarfile.open(fileobj=io.BytesIO(archive({"/simple/a/b.whl": b"12", "c": b""}))) as tar:
        listed = {member.name: (member.isdir(), member.mode) for member in tar}

    expected = {
        "simple": (True, 0o755),
        "simple/a": (True, 0o755),
        "simple/a/b.whl": (False, 0o644),
        "c": (False, 0o644),
    }
    assert expected == listed


@pytest.mark.parametrize("path", ["", "/", "a/../../etc/passwd"])
def test_a_path_out_of_the_root_is_refused(path):
    """The server serves its own folder only."""
    with pytest.raises(ContainerError, match="cannot be given"):
        archive({path: b""})


CLIENT = r"""
exec 3<> "/dev/tcp/$1/80"
printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
cat <&3
"""


@pytest.mark.engine
@pytest.mark.usefixtures("nothing_left")
def test_the_server_moves_on_and_counts(tmp_path):
    """A repository of a new version has lost the files of the old one, and each byte is counted."""
    (tmp_path / "Some_App-1.0-py3-none-any.whl").write_bytes(b"wheel")
    with Lab("a-test") as lab, lab.package_server() as server:
        slim = bases.ready(lab.engine, ["SLIM"])["SLIM"].reference
        client = lab.start(slim, command=["sleep", "60"], options={"network_mode": "bridge"})
        with client:

            def get(path: str) -> str:
                command = ["bash", "-c", CLIENT, "get", server.address, path]
                return client.get_wrapped_container().exec_run(command).output.decode("latin-1")

            server.publish("1.0", payload_bytes=1000)
            server.publish("1.1", "greeting", payload_bytes=5000)
            server.put_wheels(tmp_path)
            server.put("forecast", b"rain")
            server.put("forecast", b"sun")
            get("/forecast")
            mark = server.mark()
            index = get("/debian/Packages")
            answers = [
                get(f"/debian/{name}")
                for name in ("greeting_1.0_all.deb", "greeting_1.1_all.deb", "weather_1.0_all.deb")
            ]
            forecast, wheel_page = get("/forecast"), get("/simple/some-app/")
            served = server.served(mark)
            with pytest.raises(ContainerError, match="publish"):
                server.publish("not a version")

    assert {*PACKAGES} == {line[9:] for line in index.splitlines() if line[:9] == "Package: "}
    assert ["404", "200", "200"] == [answer.split()[1] for answer in answers]
    assert [200, 404, 200, 200, 200, 200] == [request.status for request in served]
    assert 6000 < downloaded_bytes(served) < 12_000
    assert forecast.endswith("\r\n\r\nsun")
    assert 'href="Some_App-1.0-py3-none-any.whl"' in wheel_page
