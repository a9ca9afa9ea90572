"""A secret is searched for in an image, and is told only by what surrounds it."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import archives
import pytest
from archives import chunks, config, gzipped, tar
from proving import archive, leaks
from proving.errors import BuildError
from proving.leaks import MASK, Token

TOKEN = Token("token-0123456789abcdef")
BASE = tar(("etc/release", b"one\n" * 500))
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://slsa.dev/provenance/v0.2",
    "predicate": {"invocation": {"parameters": {"args": {"build-arg:TOKEN": TOKEN.value}}}},
}


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path):
    """Have a folder of our own for what layers were found to weigh."""
    monkeypatch.setattr(archive.Kept.__init__, "__defaults__", (tmp_path / "kept",))


def told(content, token=TOKEN):
    """Return what is told of an archive's leaks."""
    image = archive.read(lambda: chunks(content), [token.encoded])
    return [leak.told for leak in leaks.search(image, token)]


def image(*layers, created_by=(), **settings):
    """Return an archive of an image with more in its configuration."""
    stack = (BASE, *layers)
    return archives.oci(
        [gzipped(layer) for layer in stack], {**config(stack, created_by), **settings}
    )


def test_a_token_is_random_and_does_not_show():
    """Two are two; a cell that ends with one, or an error that quotes it, does not tell it."""
    one, two = Token.random(), Token.random()

    assert one.value != two.value
    assert one.value not in repr(one)
    assert re.fullmatch("[0-9a-f]{16}", one.fingerprint)
    assert f"a{MASK}b" == one.masked(f"a{one.value}b")


def test_an_image_without_it():
    """Nothing is found, and it is not said to be."""
    assert [] == told(image(created_by=["RUN make"]))


def test_the_history():
    """The instruction is told with the mask in the token's place."""
    content = image(created_by=["FROM x", f"RUN |1 TOKEN={TOKEN.value} /bin/sh -c make # buildkit"])

    assert [f"history: RUN |1 TOKEN={MASK} /bin/sh -c make"] == told(content)


def test_the_history_beside_its_instructions():
    """A comment or an author may have it as well."""
    found = told(image(history=[{"created_by": "COPY", "comment": TOKEN.value}]))

    assert 1 == len(found)
    assert f'"comment": "{MASK}"' in found[0]


def test_the_configuration():
    """The way to the text is told; a key may have it, too."""
    settings = {"Env": ["PATH=/bin", f"TOKEN={TOKEN.value}"], "Labels": {TOKEN.value: "x"}}

    assert [f"config.Env: TOKEN={MASK}", f"config.Labels.{MASK}: x"] == told(image(config=settings))


def test_the_layers():
    """A removed file is in the layer that has added it; a name is masked."""
    content = image(
        tar(("tmp/token", TOKEN.encoded)),
        tar(("tmp/.wh.token", b""), (f"cache/{TOKEN.value}", b"-")),
    )

    assert [
        "layer 2: /tmp/token",
        f"layer 3: /cache/{MASK}, in its name or attributes",
    ] == told(content)


def test_attestations():
    """A provenance with the build's arguments is a document of the archive."""
    statement = json.dumps(STATEMENT).encode()
    image_tar = image()
    content = image_tar[: -2 * 512].rstrip(b"\0")
    content += bytes(-len(content) % 512) + tar(("blobs/sha256/attested", statement))
    found = told(content)

    assert [f"provenance: invocation.parameters.args.build-arg:TOKEN: {MASK}"] == found


def test_another_document():
    """Whatever it is, it is not passed over."""
    content = image()[: -2 * 512].rstrip(b"\0")
    content += bytes(-len(content) % 512) + tar(("notes.txt", TOKEN.encoded))

    assert ["the archive's notes.txt"] == told(content)


@pytest.mark.parametrize(
    "layout", [archives.oci, archives.legacy], ids=["newer engines", "docker 20.10"]
)
def test_the_configuration_is_counted_once(layout):
    """Some layouts have it in several documents."""
    settings = {**config([BASE]), "config": {"Env": [f"TOKEN={TOKEN.value}"]}}

    assert [f"config.Env: TOKEN={MASK}"] == told(layout([BASE], settings))


def test_nothing_that_is_told_has_the_token():
    """Neither a record nor a figure of a measurement."""
    content = image(
        tar((f"a/{TOKEN.value}", TOKEN.encoded)),
        created_by=[f"RUN {TOKEN.value} " * 30],
        config={"Env": [f"TOKEN={TOKEN.value}"]},
    )
    found = told(content)

    assert 3 <= len(found)
    assert not any(TOKEN.value in line for line in found)
    assert max(len(line) for line in found) <= 160


@pytest.mark.parametrize(
    ("leaking", "found_in"),
    [
        ({}, "nowhere"),
        ({"created_by": [TOKEN.value, TOKEN.value]}, "history"),
        ({"created_by": [TOKEN.value], "config": {"a": TOKEN.value}}, "history, configuration"),
    ],
)
def test_an_image_is_searched_with_a_control(tmp_path, leaking, found_in):
    """The salt is found by the pass that looks for the token, or nothing is known."""
    work = StandInWork("", tmp_path)
    work.script.write_bytes(b"#!/bin/sh\n# salt 0815\n")
    script = tar(("app/use-token.sh", work.script.read_bytes()))
    built = SimpleNamespace(
        archive=lambda *wanted: archive.read(lambda: chunks(image(script, **leaking)), wanted)
    )
    figures = leaks.of_image(work, built, TOKEN)
    work.script.write_bytes(b"# salt 4711\n")

    assert (True, found_in) == (figures["control"], figures["found_in"])
    assert (2, 2) == (figures["leaks"]["layers"], figures["leaks"]["files"])
    assert not leaks.of_image(work, built, TOKEN)["control"]
    assert TOKEN.value not in json.dumps(figures)


class StandInWork:
    """A workspace that notes what is done to it."""

    def __init__(self, dockerfile, folder):
        self.script = folder / "use-token.sh"
        self.salted, self.written, self.options = [], {}, {}
        self._text = SimpleNamespace(read_text=lambda encoding: dockerfile)

    def path(self, name):
        return self._text if name == "Dockerfile" else self.script

    def salt(self, name):
        self.salted.append(name)

    def write(self, name, content):
        self.written[name] = content

    def build(self, **options):
        self.options = options
        return "an image"


@pytest.mark.parametrize(
    ("arm", "options", "written"),
    [
        ("bad", {"arguments": {"TOKEN": TOKEN.value}}, {}),
        ("stage", {"arguments": {"TOKEN": TOKEN.value}}, {}),
        ("env", {"arguments": {"TOKEN": TOKEN.value}}, {}),
        ("good", {"secrets": {"token": TOKEN.encoded}}, {}),
        ("copied", {}, {"token": TOKEN.encoded}),
        ("mounted", {}, {}),
        ("injected", {}, {}),
    ],
)
def test_the_token_is_handed_over_as_the_dockerfile_asks(arm, options, written):
    """And in no other way, or another way would be what is measured."""
    from proving.claims import IMAGES

    work = StandInWork((IMAGES / "R5" / arm / "Dockerfile").read_text(), Path())
    leaks.build(work, TOKEN)

    assert {**options, "provenance": False} == work.options
    assert written == work.written
    assert ["use-token.sh"] == work.salted


def test_the_provenance_is_that_of_an_earlier_stage():
    """The two arms have one Dockerfile."""
    from proving.claims import IMAGES

    one, two = (IMAGES / "R5" / arm / "Dockerfile" for arm in ("stage", "provenance"))

    assert one.read_text() == two.read_text()


@pytest.mark.parametrize(
    ("buildx", "store"), [(False, "containerd (overlayfs)"), (True, "overlay2")]
)
def test_where_no_attestations_are_made_it_says_so(buildx, store):
    """By a client that knows none, or a store that keeps none with its images."""
    builder, description = SimpleNamespace(is_buildx=buildx), SimpleNamespace(store=store)
    engine = SimpleNamespace(builder=builder, description=description)

    told = leaks.in_attestations(SimpleNamespace(engine=engine), TOKEN)

    assert {"found_in": leaks.NOT_APPLICABLE} == told


@pytest.mark.parametrize(
    ("documents", "answer"), [({}, "nowhere"), ({"a": STATEMENT}, "attestations")]
)
def test_where_attestations_are_made_they_are_searched(documents, answer):
    """An image that has none is not a finding."""
    read = archive.Archive({}, (), {name: json.dumps(d).encode() for name, d in documents.items()})
    engine = SimpleNamespace(
        builder=SimpleNamespace(is_buildx=True),
        description=SimpleNamespace(store="containerd (overlayfs)"),
    )
    attested = SimpleNamespace(engine=engine, archive=lambda: read)

    expected = {"found_in": answer, "attested": answer == leaks.ATTESTATIONS}

    assert expected == leaks.in_attestations(attested, TOKEN)


def test_a_build_that_fails_does_not_tell_the_token():
    """The last lines of a step are quoted in a claim's reason, which is recorded."""

    class Broken(StandInWork):
        def build(self, **_options):
            raise BuildError(f"The step RUN fetch failed: no such user {TOKEN.value}")

    with pytest.raises(BuildError, match=f"no such user {MASK}$") as caught:
        leaks.build(Broken("ARG TOKEN", Path()), TOKEN)

    assert TOKEN.value not in f"{caught.value!r}{caught.value.__context__!r}"
