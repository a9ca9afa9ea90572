"""Bases built here behave like the public ones; the road is chosen once and told."""

import io
import subprocess
import tarfile

import pytest
from proving import bases
from proving.errors import BaseImageError


def test_the_official_configuration_is_ours():
    """What debuerreotype's minimizing configuration sets for apt, by name and value.

    Source: debuerreotype, scripts/debuerreotype-minimizing-config.
    """
    settings = "".join(bases.APT_CONFIGURATION.values())

    assert {
        "docker-autoremove-suggests",
        "docker-clean",
        "docker-gzip-indexes",
        "docker-no-languages",
    } == set(bases.APT_CONFIGURATION)
    for expected in (
        'Apt::AutoRemove::SuggestsImportant "false";',
        'Dir::Cache::pkgcache "";',
        'Dir::Cache::srcpkgcache "";',
        'Acquire::GzipIndexes "true";',
        'Acquire::Languages "none";',
    ):
        assert expected in settings
    for hook in ("DPkg::Post-Invoke", "APT::Update::Post-Invoke"):
        assert f'{hook} {{ "rm -f /var/cache/apt/archives/*.deb' in settings


def test_configuration_is_appended_to_the_root_file_system():
    """Services do not start, and apt keeps no caches, in a base that is built here."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w"):
        pass
    bases._append_configuration(archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        modes = {member.name: member.mode for member in tar}

    assert 0o755 == modes["./usr/sbin/policy-rc.d"]
    assert 0o644 == modes["./etc/apt/apt.conf.d/docker-clean"]


def test_names_do_not_pretend_to_be_the_public_tag():
    """A base of ours has a name of ours, which changes with its recipe."""
    for role in bases.ROLES.values():
        name, _, recipe = role.tag().partition(":")

        assert f"proving-ground/{role.name.lower()}" == name
        assert 12 == len(recipe)


def test_roles_are_read_from_build_arguments(tmp_path):
    """A Dockerfile names the bases it needs by the arguments it declares."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("ARG SLIM=debian:13-slim\nARG VERSION=1\nARG PYTHON\nFROM ${SLIM}\n")

    assert ["SLIM", "PYTHON"] == bases.roles_in(dockerfile)


def test_a_road_that_is_not_one_is_refused(monkeypatch):
    """`PROVING_BASES` takes two words."""
    monkeypatch.setenv("PROVING_BASES", "download")

    with pytest.raises(BaseImageError, match="set it to pull or to build"):
        bases.forced_road()


def test_an_unknown_role_is_refused():
    """The sentence lists the roles there are."""
    with pytest.raises(BaseImageError, match="DISTRIBUTION, SLIM, OLD_SLIM, MINIMAL, PYTHON"):
        bases._role("UBUNTU")


@pytest.mark.engine
def test_a_built_base_behaves_like_the_public_one(engine, nothing_left):
    """Effective settings, read inside: no caches, no languages, no service starts, slim paths."""
    base = bases.ready(engine, ["SLIM"])["SLIM"]
    told = engine.docker.containers.run(
        base.reference,
        [
            "sh",
            "-c",
            "apt-config dump; cat /usr/sbin/policy-rc.d; ls /usr/share/man /var/cache/apt",
        ],
        remove=True,
    ).decode()

    assert 'Dir::Cache::pkgcache "";' in told
    assert 'Acquire::GzipIndexes "true";' in told
    assert 'Acquire::Languages:: "none";' in told
    assert "exit 101" in told
    assert "pkgcache.bin" not in told
    assert "man1" not in told


@pytest.mark.engine
def test_an_alpine_built_here_has_what_the_public_one_has(engine, nothing_left):
    """Its package database says that the base image's packages are there."""
    base = bases.ready(engine, ["MINIMAL"])["MINIMAL"]
    told = (
        engine.docker.containers.run(
            base.reference,
            ["sh", "-c", "apk info 2>/dev/null; readlink /bin/sh; stat -c %a /tmp"],
            remove=True,
        )
        .decode()
        .split()
    )

    from proving.alpine import PACKAGES

    assert sorted(PACKAGES) == sorted(set(told) & PACKAGES)
    assert "/bin/busybox" in told
    assert "1777" in told


@pytest.mark.engine
def test_a_base_that_cannot_be_had_tells_both_reasons(engine, nothing_left, monkeypatch):
    """Neither pulled nor built: the sentence says why not, twice."""
    role = bases.Role(
        "NOWHERE",
        "registry.invalid/nothing:1",
        lambda *_: bases._need_tools({"no-such-program": "no-such-package"}, "build it"),
        lambda: "recipe",
    )
    monkeypatch.setitem(bases.ROLES, "NOWHERE", role)
    monkeypatch.setattr(bases.system, "can_install", lambda: False)

    with pytest.raises(BaseImageError, match="by neither road") as caught:
        bases.ready(engine, ["NOWHERE"])

    assert "registry.invalid" in str(caught.value)
    assert "no-such-package" in str(caught.value)


def test_importing_the_package_is_quick():
    """A notebook's first line should not make anybody wait: under 0.3 s, in the best of three."""
    import sys
    import time

    def once() -> float:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import proving"], check=True, cwd=bases.LABS)
        return time.monotonic() - began

    assert min(once() for _ in range(3)) < 0.3
