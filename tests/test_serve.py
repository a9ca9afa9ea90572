"""The site under `/site/` of a real Jupyter server."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from local_server import LAB, Guide, make_guide, served
from proving import my_progress


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    folder = tmp_path_factory.mktemp("served")
    with served(make_guide(folder / "root"), folder / "home") as guide:
        yield guide


@pytest.fixture
def reader(guide: Guide) -> Iterator[httpx.Client]:
    with guide.client(guide.token) as client:
        yield client


@pytest.fixture
def stranger(guide: Guide) -> Iterator[httpx.Client]:
    with guide.client() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/site/", "text/html; charset=utf-8"),
        ("/site/index.html", "text/html; charset=utf-8"),
        ("/site/_static/guide.css", "text/css; charset=utf-8"),
    ],
)
def test_files_have_their_types(reader: httpx.Client, path: str, kind: str) -> None:
    """Pages and style sheets are served as what they are."""
    answer = reader.get(path)

    assert (200, kind) == (answer.status_code, answer.headers["content-type"])


@pytest.mark.parametrize(
    "path", ["/site/", "/site/_static/guide.css", "/site/nowhere", f"/site/open/{LAB}.html", "/lab"]
)
def test_token_is_needed(stranger: httpx.Client, path: str) -> None:
    """Without the token every address leads to the login, and tells nothing else."""
    answer = stranger.get(path)

    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/login?")


def test_token_in_the_address_is_kept_as_cookie(guide: Guide, stranger: httpx.Client) -> None:
    """A browser that opened the printed address follows links without a token."""
    first = stranger.get("/site/", params={"token": guide.token})
    second = stranger.get("/site/_static/guide.css")

    assert [first.status_code, second.status_code] == [200, 200]


def test_wrong_token_is_refused(guide: Guide) -> None:
    """A token that is not the server's opens nothing."""
    with guide.client("0" * 48) as client:
        answer = client.get("/site/")

    assert answer.status_code in {302, 403}


@pytest.mark.parametrize(("path", "target"), [("/", "/site/"), ("/site", "/site/")])
def test_root_leads_to_site(reader: httpx.Client, path: str, target: str) -> None:
    """Short addresses lead to the front page."""
    answer = reader.get(path)

    assert answer.is_redirect
    assert target == answer.headers["location"].partition("?")[0]


def test_open_leads_to_lab(reader: httpx.Client) -> None:
    """A page's link opens its lab on the working copy in JupyterLab."""
    answer = reader.get(f"/site/open/{LAB}.html")

    assert (302, f"/lab/tree/{LAB}.ipynb") == (answer.status_code, answer.headers["location"])


@pytest.mark.parametrize("path", ["/site/open/10-not-there.html", "/site/a/b/nowhere.html"])
def test_missing_page_is_the_sites_own(reader: httpx.Client, path: str) -> None:
    """What is not there is answered by the site's page, whose links work at any depth."""
    answer = reader.get(path)

    assert answer.status_code == 404
    assert '<head><base href="/site/"><title>Not here' in answer.text
    assert '<a href="/site/index.html">' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/site/../secret.txt",
        "/site/%2e%2e/secret.txt",
        "/site/..%2fsecret.txt",
        "/site/_static/%2e%2e/%2e%2e/secret.txt",
        "/site//etc/hostname",
        "/site/.buildinfo",
    ],
)
def test_nothing_outside_the_site_is_served(guide: Guide, path: str) -> None:
    """An address cannot leave the site's folder, nor show its hidden files."""
    port = int(guide.origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        asked = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: token {guide.token}\r\nConnection: close\r\n\r\n"
        )
        raw.sendall(asked.encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode()

    assert answer.split()[1] in {"403", "404"}
    assert "outside of the site" not in answer
    assert "hidden" not in answer


def test_symbolic_link_out_of_the_site_is_refused(guide: Guide, reader: httpx.Client) -> None:
    """A link inside the site does not open the disk."""
    link = guide.root / "_build" / "html" / "link.txt"
    link.symlink_to(guide.root / "_build" / "secret.txt")

    answer = reader.get("/site/link.txt")

    assert answer.status_code in {403, 404}


def test_rebuilt_page_is_seen_at_once(guide: Guide, reader: httpx.Client) -> None:
    """A browser keeps a file, asks again, and gets it anew only where it has changed."""
    page = guide.root / "_build" / "html" / "page.html"
    page.write_text("one", "utf-8")
    first = reader.get("/site/page.html")
    kept = {"If-None-Match": first.headers["etag"]}
    unchanged = reader.get("/site/page.html", headers=kept)
    page.write_text("two", "utf-8")
    os.utime(page, (2_000_000_000, 2_000_000_000))
    changed = reader.get("/site/page.html", headers=kept)

    assert "no-cache" in first.headers["cache-control"]
    assert [unchanged.status_code, changed.status_code] == [304, 200]
    assert changed.text == "two"


def test_progress_is_filled_in_at_every_request(
    guide: Guide, reader: httpx.Client, stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who has the token; the rest of the page stays."""
    monkeypatch.setenv(my_progress.VARIABLE, str(guide.root.parent / "progress.jsonl"))
    page = "/site/guide/my-progress.html"
    first = reader.get(page)
    my_progress.note_claim("P3", "holds", "26.1.5")
    second = reader.get(page)

    assert (200, "no-store") == (first.status_code, first.headers["cache-control"])
    assert first.text.startswith("<h1>Mine</h1><div")
    assert first.text.endswith("<p>more</p>")
    assert "stands alone" not in first.text
    assert ("P3: not tried yet" in first.text, "P3: proved" in second.text) == (True, True)
    assert 302 == stranger.get(page).status_code


def test_page_runs_its_own_scripts(reader: httpx.Client) -> None:
    """The site's pages are not put in a sandbox, where the theme switch could keep nothing."""
    answer = reader.head("/site/")

    assert answer.status_code == 200
    assert "sandbox" not in answer.headers["content-security-policy"]


def test_only_this_machine_can_connect(guide: Guide) -> None:
    """The server listens on the loopback address alone."""
    connections = psutil.Process(guide.process.pid).net_connections("inet")
    listening = {found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}

    assert listening == {"127.0.0.1"}


def test_home_is_left_alone(guide: Guide) -> None:
    """Jupyter's own files lie in the working copy, none in the reader's home."""
    home: Path = guide.root.parent / "home"

    assert list(home.iterdir()) == []
