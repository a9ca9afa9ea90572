"""Secrets of well-known forms, found in any bytes, and told without telling them.

A form is looked for only where it is hard to mistake: a key's first line with its key behind it, a
token with the prefix by which its issuer marks it, a password in an address. What is encoded or
compressed within a file is not found. Placeholders, such as documentation has them, are no secrets.
The search is done by RE2, which takes time in proportion to what it reads, whatever that is. Where
Hyperscan is there, which reads several times faster, it tells in which pieces RE2 has to look at
all: what is found is the same.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from .text import printable

MASK = "••••"
"""What stands for a secret wherever the text around it is told."""

MOST_HITS = 1000
"""How many secrets of one layer are told."""

MOST_CANDIDATES = 200_000
"""After so many places in one layer that might have been secrets, its search ends."""

_OVERLAP_BYTES = 2048
"""What is left of a piece for the next one; no anchor is longer."""

_CONTEXT_BYTES = 256
_LONGEST_WORD = 200


@dataclass(frozen=True)
class Form:
    """A form of secrets: `anchor` finds where one may begin, and `whole` says whether one does.

    The group `secret` of `whole` is what must not be told.
    """

    name: str
    anchor: bytes
    whole: re.Pattern[bytes]
    in_word: bool = False


class Hit(NamedTuple):
    """A secret that was found: its form, the path of the file, and what may be told of it.

    `path` is empty after the last file; `in_content` tells the content of a file from its header.
    """

    form: str
    path: str
    in_content: bool
    told: str


def _form(name: str, anchor: bytes, whole: bytes = b"", *, in_word: bool = False) -> Form:
    return Form(name, anchor, re.compile(whole or rb"(?P<secret>%b)" % anchor), in_word)


_BLANK = rb"\t\n\f\r "
"""The blanks of an anchor, one by one: what `\\s` stands for differs between RE2 and Hyperscan."""
_URL = rb"://[^%b/:@\"'<>]{0,64}:[^%b/:@\"'<>]{3,100}@[A-Za-z0-9\[]" % (_BLANK, _BLANK)
_NAMED = b"%%b[%b]{1,4}[^%b]{%%b}" % (_BLANK, _BLANK)
_LOGIN = (b"[%b]{1,4}" % _BLANK).join(
    (_NAMED % (b"machine", b"3,80"), _NAMED % (b"login", b"1,80"), _NAMED % (b"password", b"4"))
)

FORMS = (
    _form(
        "private key",
        rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z0-9]{1,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\r|\\n){1,6}"
        rb"(?:[A-Za-z-]{1,20}: [^\r\n\\]{0,100}(?:\s|\\r|\\n){1,6}){0,4}"
        rb"(?P<secret>[A-Za-z0-9+/=]{40})",
        in_word=True,
    ),
    _form("PuTTY private key", rb"PuTTY-User-Key-File-[23]: [a-z0-9-]{3,40}\r?\nEncryption: "),
    _form("age secret key", rb"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    _form("AWS access key", rb"(?:AKIA|ASIA)[0-9A-Z]{16}"),
    _form(
        "AWS secret key",
        rb"(?i:aws_secret_access_key)[\"' ]{0,3}[=:][\"' ]{0,3}[A-Za-z0-9/+]{40}",
        rb"(?i:aws_secret_access_key)[\"' ]{0,3}[=:][\"' ]{0,3}(?P<secret>[A-Za-z0-9/+]{40})",
    ),
    _form("GitHub token", rb"gh[pousr]_[A-Za-z0-9]{36}"),
    _form("GitHub token", rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _form("GitLab token", rb"gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{20}"),
    _form("Slack token", rb"xox[abprs]-[0-9]{9,14}-[0-9A-Za-z-]{10,80}"),
    _form("Slack webhook", rb"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/\w{24}"),
    _form("Google API key", rb"AIza[A-Za-z0-9_-]{35}"),
    _form("Stripe key", rb"[sr]k_live_[A-Za-z0-9]{24}"),
    _form("npm token", rb"npm_[A-Za-z0-9]{36}"),
    _form(
        "npm token",
        rb":_authToken=[A-Za-z0-9_-]{20}",
        rb":_authToken=(?P<secret>[A-Za-z0-9_-]{20,200})",
        in_word=True,
    ),
    _form("PyPI token", rb"pypi-AgE[A-Za-z0-9_-]{50}"),
    _form("SendGrid key", rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _form("Anthropic key", rb"sk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{80}"),
    _form("OpenAI key", rb"sk-[A-Za-z0-9_-]{20,90}T3BlbkFJ[A-Za-z0-9_-]{20}"),
    _form("Hugging Face token", rb"hf_[A-Za-z]{34}"),
    _form("Docker Hub token", rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27}"),
    _form("DigitalOcean token", rb"do[opr]_v1_[a-f0-9]{64}"),
    _form("Vault token", rb"hv[sb]\.[A-Za-z0-9_-]{90}"),
    _form(
        "Azure storage key",
        rb"AccountKey=[A-Za-z0-9+/]{86}==",
        rb"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)",
    ),
    _form(
        "password of a machine",
        _LOGIN,
        rb"machine\s+\S+\s+login\s+\S+\s+password\s+(?P<secret>\S{4,100})",
    ),
    _form(
        "password in an address",
        _URL,
        rb"://(?P<user>[^\s/:@\"'<>]{0,64}):(?P<secret>[^\s/:@\"'<>]{3,100})@"
        rb"(?P<host>[A-Za-z0-9.\[\]_-]{1,100})",
        in_word=True,
    ),
)
"""All forms that are looked for."""

_READ = 10_000
_ANY_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s/]+(?=@)")
_IN_ADDRESSES = "password in an address"
_BY_TEXT = (_IN_ADDRESSES, "password of a machine", "npm token")

_PLACEHOLDER = re.compile(
    rb"[$%{}()<>*\[\]\\`|^]|\.\.\.|x{4}|(.)\1{5}|example|sample|placeholder|changeme|change_me"
    rb"|your[-_]|redacted|dummy|fake|foobar|0123456789|1234567890|abcdefgh",
    re.IGNORECASE,
)
_NO_PASSWORDS = frozenset(
    b"password passwd passwort pass pwd pw secret secrets user username tiger test testing guest "
    b"admin root foo bar baz qux abc xyz 123 1234 12345 123456 token key api-key apikey "
    b"mypassword mypass my-password my_password your_password hunter2 s3cret p4ssw0rd "
    b"userpass userpassword proxypass proxypassword some_password somepassword port "
    b"postgres rabbitmq redis mysql x-oauth-basic x-token-auth oauth2".split()
)
_NO_HOSTS = re.compile(
    rb"(?i:(.+\.)?(example|invalid|test|localdomain)(\.(com|org|net|edu))?|host|hostname|server"
    rb"|servername|machine|domain|domain\.(com|tld)|proxy|proxyhost|some\.?host|foo|bar"
    rb"|(.+\.)?(foo|bar|acme|mycompany|company|yourdomain|mydomain)\.(com|org|net))"
)
_COMMENT = re.compile(rb"^\s*(#|//|;|\*|--|<!--|\.\\\")|>>> |%")

_NPM_COMMENT = re.compile(rb"^\s*[#;]")
_NAME_OF_SECRET = re.compile(
    r"(?:^|[_.-])(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY"
    r"|SECRET_?KEY|SECRET_KEY_BASE|SECRET_ACCESS_KEY|CREDENTIALS?)$",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(
    r"|true|false|yes|no|on|off|none|null|nil|\d{1,6}|/.*|.*[$<>{}].*|x+|\*+|•+|(change|replace)_?-?me"
    r"|https?://[^@]*",
    re.IGNORECASE,
)


@cache
def _anchors() -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = 64 << 20
    return re2.compile(b"|".join(b"(?:%b)" % form.anchor for form in FORMS), options)


@cache
def _database() -> Any:
    """Return all anchors as Hyperscan reads them, or None where it does not run here."""
    try:
        import hyperscan
    except ImportError:
        return None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    anchors = [form.anchor for form in FORMS]
    try:
        database.compile(expressions=anchors, flags=hyperscan.HS_FLAG_SINGLEMATCH)
    except hyperscan.HyperscanError:
        return None
    return database


def _prefilter() -> Callable[[bytes], bool]:
    """Return what tells whether a text may have an anchor; only one thread may use it at a time."""
    database = _database()
    if database is None:
        return lambda _: True
    import hyperscan

    scratch = hyperscan.Scratch(database)

    def may_have_one(text: bytes) -> bool:
        try:
            database.scan(text, match_event_handler=lambda *_: True, scratch=scratch)
        except hyperscan.ScanTerminated:
            return True
        return False

    return may_have_one


def secrets_in(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Return each secret of a text: its form, and where the secret itself begins and ends."""
    for match in _anchors().finditer(text):
        found = _judge(text, match.start())
        if found is not None:
            yield found


def redact(text: str) -> str:
    """Return a text with a mask in the place of each secret, those of its named values too.

    Any password in an address is masked, one that is called a placeholder elsewhere included.
    """
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        encoded = text.encode("utf-8", "backslashreplace")
    parts, at = [], 0
    for _, begins, ends in secrets_in(encoded):
        if begins >= at:
            parts.append(encoded[at:begins])
            parts.append(MASK.encode())
            at = ends
    parts.append(encoded[at:])
    masked = b"".join(parts).decode("utf-8", "surrogateescape")
    masked = _ANY_PASSWORD.sub(rf"\1{MASK}", masked)
    for _, value in named_values(masked):
        masked = masked.replace(value, MASK)
    return masked


def one_line(text: str, longest: int = 160) -> str:
    """Return a stranger's text as one printable line of at most so many characters.

    Its secrets are masked, and blanks and new lines become one blank each.
    """
    return printable(redact(" ".join(text[:_READ].split())), longest)


def is_named_secret(name: str, value: str) -> bool:
    """Tell whether a variable is named like a secret and has a value that may be one.

    Flags, numbers, paths, references to other variables and addresses are no secrets.
    """
    return bool(_NAME_OF_SECRET.search(name)) and not _NO_VALUE.fullmatch(value.strip("\"'"))


def named_values(text: str) -> Iterator[tuple[str, str]]:
    """Return the values in an instruction whose names say that they are secrets.

    That is `NAME=value`, as in `ENV`, in a command, or in the build arguments of a RUN.
    """
    for match in re.finditer(
        r"(?<![\w$-])([A-Za-z_][\w.-]{0,60})=(\"[^\"]*\"|'[^']*'|[^\s;|&]+)", text
    ):
        value = match[2].strip("\"'")
        if is_named_secret(match[1], value) and value != MASK:
            yield match[1], value


class Search:
    """Finds secrets in a tar that is fed in pieces, and tells in which of its files they are.

    A piece is fed after its members were told by `enter`.
    `hits` are those found so far; `gave_up` tells that the search ended before the layer did.
    """

    def __init__(self) -> None:
        self.hits: dict[Hit, None] = {}
        self.gave_up = False
        self._may_have_one = _prefilter()
        self._tail = b""
        self._tail_at = 0
        self._from_at = 0
        self._candidates = 0
        self._begins = [0]
        self._members: list[tuple[str, int, int]] = [("", 0, 0)]

    def enter(self, path: str, header_at: int, content_at: int, content_bytes: int) -> None:
        """Take note of a member of the tar, by its offsets."""
        self._begins.append(header_at)
        self._members.append((path, content_at, content_at + content_bytes))

    def feed(self, data: bytes) -> None:
        """Search the next piece of the tar."""
        self._search(data, _OVERLAP_BYTES)

    def end(self) -> None:
        """Search what was left for the next piece, since there is none."""
        self._search(b"", 0)

    def _search(self, data: bytes, overlap_bytes: int) -> None:
        if self.gave_up:
            return
        limit = len(self._tail) + len(data) - overlap_bytes
        if limit <= 0:
            self._tail += data
            return
        between = self._tail + data[:_OVERLAP_BYTES]
        if self._may_have_one(data) or self._may_have_one(between):
            self._take_all(self._tail + data, limit)
        self._from_at = max(self._from_at, self._tail_at + limit)
        kept = max(0, limit - _CONTEXT_BYTES)
        left = len(self._tail) - kept
        self._tail = self._tail[kept:] + data if left > 0 else data[-left:]
        self._tail_at += kept
        self._forget()

    def _take_all(self, window: bytes, limit: int) -> None:
        """Look at what begins before `limit` in what is left of the last piece and the next one."""
        begin = max(0, self._from_at - self._tail_at)
        for match in _anchors().finditer(window, begin):
            if match.start() >= limit:
                break
            self._from_at = self._tail_at + match.end()
            self._take(window, match.start())

    def _take(self, window: bytes, at: int) -> None:
        self._candidates += 1
        if self._candidates > MOST_CANDIDATES:
            self.gave_up = True
            return
        absolute = self._tail_at + at
        number = bisect_right(self._begins, absolute) - 1
        path, content_at, content_end = self._members[number]
        found = _judge(window, at, line_from=max(0, content_at - self._tail_at))
        if found is None or len(self.hits) >= MOST_HITS:
            return
        form, begins, ends = found
        in_content = content_at <= absolute < content_end
        if absolute >= -(-content_end // 512) * 512 and absolute >= content_at:
            path = ""
        self.hits[Hit(form, path, in_content, _told(form, window, begins, ends))] = None

    def _forget(self) -> None:
        """Forget the members that end before what is still searched."""
        number = bisect_right(self._begins, self._tail_at) - 1
        if number > 0:
            del self._begins[:number], self._members[:number]


def _judge(window: bytes, at: int, line_from: int = -1) -> tuple[str, int, int] | None:
    """Return the form of the secret that begins at a place, and where the secret itself is.

    In a file, whose content begins at `line_from`, what stands in a comment is none.
    """
    for form in FORMS:
        match = form.whole.match(window, at)
        if match is None:
            continue
        begins, ends = match.span("secret")
        if not form.in_word and _goes_on(window, match.start(), match.end()):
            return None
        if _is_placeholder(form.name, match):
            return None
        if line_from >= 0 and _is_comment(
            form.name, window[max(line_from, at - _CONTEXT_BYTES) : at]
        ):
            return None
        return form.name, begins, ends
    return None


def _goes_on(window: bytes, begins: int, ends: int) -> bool:
    """Tell whether what was found is only a part of a longer word."""
    before = window[begins - 1 : begins] if begins else b""
    after = window[ends : ends + 1]
    return bool(re.match(rb"[A-Za-z0-9_]", before)) or bool(re.match(rb"[A-Za-z0-9]", after))


def _is_placeholder(form: str, match: re.Match[bytes]) -> bool:
    secret = match["secret"]
    if form == "private key":
        return len(set(secret)) < 12
    if _PLACEHOLDER.search(secret) is not None:
        return True
    if form not in _BY_TEXT:
        return len(set(secret)) < 8
    if form == _IN_ADDRESSES:
        if _NO_HOSTS.fullmatch(match["host"]) or secret == match["user"]:
            return True
        if _PLACEHOLDER.search(match["user"]) or not secret.isascii():
            return True
    return secret.lower() in _NO_PASSWORDS


def _is_comment(form: str, before: bytes) -> bool:
    """Tell whether a password stands in a line that is a comment, or in what is no text."""
    if form not in _BY_TEXT:
        return False
    line = before.rpartition(b"\n")[2]
    comment = _NPM_COMMENT if form == "npm token" else _COMMENT
    return bool(comment.search(line)) or b"\0" in line[-40:]


def _told(form: str, window: bytes, begins: int, ends: int) -> str:
    """Return the word that has a secret, with a mask in its place."""
    if form == _IN_ADDRESSES:
        before = re.search(
            rb"[\w+.-]{1,20}://[^\s/:@\"'<>]{0,64}:$", window[max(0, begins - 100) : begins]
        )
        after = re.match(rb"@[A-Za-z0-9.\[\]_-]{1,100}", window[ends : ends + 110])
        if before and after:
            return f"{before[0].decode('ascii', 'replace')}{MASK}{after[0].decode('ascii')}"
    return MASK


def in_instruction(text: str) -> Iterator[str]:
    """Return what may be told of each secret in an instruction of the history."""
    encoded = text.encode("utf-8", "surrogateescape")
    values = []
    for form, begins, ends in secrets_in(encoded):
        values.append(encoded[begins:ends].decode("utf-8", "surrogateescape"))
        yield f"{form} {_told(form, encoded, begins, ends)}"
    for name, value in named_values(text):
        if not any(known in value for known in values):
            yield f"{name}={MASK}"


def in_variables(variables: Mapping[str, str]) -> Iterator[str]:
    """Return what may be told of each secret in variables or labels."""
    for name, value in variables.items():
        forms = [form for form, _, _ in secrets_in(value.encode("utf-8", "surrogateescape"))]
        if forms:
            yield f"{name}={MASK} ({', '.join(dict.fromkeys(forms))})"
        elif is_named_secret(name, value):
            yield f"{name}={MASK}"
