"""Masking of secrets in text: known values, and unknown ones by their look."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import takewhile
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from microscaling.utils.urls import basic, credentials

MASKED = "***"
MIN_MASKED = 4
"""Characters of the shortest value that is masked."""
# Shorter ones occur in so much other text that masking them would make it unreadable, and reveal them.
NOT_SECRET = ("true", "false", "none", "null")
MIN_LINE_MASKED = 8
"""Characters of the shortest line that is masked on its own, of a secret of several lines (a private key)."""
MIN_CUT = 8
"""Characters of the shortest beginning of a secret that is masked where a text was cut off."""
CUT_BEFORE = ("", *"'\".)")
"""Characters that may follow a truncated secret; "" is the end of the text."""
MAX_WORD = 15
"""Characters of the longest secret that may be part of a longer word by chance."""
ESCAPES = r"(?<=\\[nrtf])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=%[0-9A-Fa-f]{2})"
"""Escapes before a secret: their last letter or digit belongs to another character, not to the word."""
MAX_REMEMBERED = 1000
IN_URL = re.compile(r"""(?<=//)([^\s/?#:@"'<>\\]*:)(?!\d{1,5}\.\.\.)([^\s/?#"'<>\\]+)(@|\.\.\.)""")
"""User, password, and the @ behind it, or the dots where a text was cut off."""
IN_HEADER = re.compile(r"\b(bearer |basic |token=)[\w.~+/=-]{16,}", re.IGNORECASE)
SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|passw|session|credential|signature", re.IGNORECASE)
SECRET_FIELD = re.compile(
    r"auth|token|key|secret|passw|(^|[_-])pass$|pwd|session|credential|sig(nature)?$", re.IGNORECASE
)
"""Names of secret fields in the query of a URL, and in a body that is sent to it."""


class Secrets:
    """Values to mask; more can be added at any time, from any thread."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._parts: list[str] = []
        self._words: dict[str, re.Pattern[str]] = {}
        self._lock = threading.Lock()
        self._remembered: dict[str, str] = {}
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Adds values to mask from now on."""
        parts = _parts(values)
        with self._lock:
            self._words |= {part: _word(part) for part in parts if _is_word(part)}
            # The longest first: a secret that contains another one is masked as a whole.
            self._parts = sorted(parts | {*self._parts}, key=len, reverse=True)
            self._remembered = {}

    def mask(self, text: str) -> str:
        """Replaces every secret, also in its forms in a URL, in JSON, line by line, and where the text was
        cut off within it; also unknown secrets: a password in a URL, and a token after Bearer.

        Known values of fewer than 4 characters stay, and so does a short one of letters, or of digits,
        inside a longer word or number.
        """
        return mask_unknown(self.mask_known(text))

    def mask_known(self, text: str) -> str:
        """Replaces the known secrets only; see `mask`."""
        for part in self._parts:
            if part in text:
                # Masking the secret "long" inside "longer than" would reveal it: "***er than".
                word = self._words.get(part)
                text = word.sub(MASKED, text) if word else text.replace(part, MASKED)
            if part[:MIN_CUT] in text and len(part) > MIN_CUT:
                text = _without_begun(text, part)
        return text

    def mask_again(self, text: str) -> str:
        """As `mask`, with a cache, for texts that come again and again."""
        if not text:
            return text
        remembered = self._remembered  # `add` puts another one in its place
        masked = remembered.get(text)
        if masked is None:
            masked = self.mask(text)
            if len(remembered) >= MAX_REMEMBERED:
                remembered.clear()
            remembered[text] = masked
        return masked


def mask_unknown(text: str) -> str:
    """Masks the passwords in URLs, and the tokens after Bearer, Basic and token=."""
    if "//" in text:
        text = IN_URL.sub(rf"\1{MASKED}\3", text)
    return IN_HEADER.sub(rf"\1{MASKED}", text)


def mask(text: str, secrets: Collection[str]) -> str:
    """Masks these secrets in a text; see `Secrets.mask`."""
    return Secrets(secrets).mask(text)


def passwords_in(text: str) -> list[str]:
    """Returns the passwords of all URLs in a text, as written and percent-decoded."""
    found = [match[2] for match in IN_URL.finditer(text) if match[3] == "@"]
    return [*found, *(unquote(password) for password in found)]


def secrets_of_url(url: str) -> list[str]:
    """Returns the password in a URL, also in the form of a Basic header, and the secret values of its query.

    A user without a password counts as a token.
    """
    try:
        parts = urlsplit(url)
        fields = parse_qsl(parts.query)
    except ValueError:
        return []
    found = [value for name, value in fields if SECRET_FIELD.search(name)]
    user, password = credentials(url)
    if user or password:
        sent = basic(user, password).removeprefix("Basic ")
        found += [(password or user).decode(errors="surrogateescape"), sent]
    return found


def secrets_of_headers(headers: Mapping[str, str]) -> list[str]:
    """Returns the values of headers with secret names, as a whole and without a scheme such as Bearer or a
    name such as `session=`."""
    found = [value for name, value in headers.items() if SECRET_HEADER.search(name)]
    return [*found, *(word for value in found for word in re.split(r"[\s=;,]+", value)[1:])]


def secrets_of_body(body: str) -> list[str]:
    """Returns the texts under secret names in the body of a request: JSON, or fields as in a query."""
    try:
        return list(_secrets_of_json(json.loads(body), False))
    except (ValueError, RecursionError):
        return [value for name, value in parse_qsl(body) if SECRET_FIELD.search(name)]


def _secrets_of_json(value: object, secret: bool) -> Iterator[str]:
    """Yields the texts in parsed JSON that are below a secret name."""
    if isinstance(value, str) and secret:
        yield value
    for inner in value if isinstance(value, list) else ():
        yield from _secrets_of_json(inner, secret)
    for name, inner in value.items() if isinstance(value, Mapping) else ():
        yield from _secrets_of_json(inner, secret or SECRET_FIELD.search(str(name)) is not None)


def _is_word(part: str) -> bool:
    return len(part) <= MAX_WORD and (part.isalpha() or part.isdecimal())


def _word(part: str) -> re.Pattern[str]:
    alike = r"\d" if part.isdecimal() else r"[^\W\d_]"
    return re.compile(rf"(?:(?<!{alike})|{ESCAPES}){re.escape(part)}(?!{alike})")


def _without_begun(text: str, secret: str) -> str:
    """Masks the beginning of a secret where the text was cut off within it."""
    begin, rest = secret[:MIN_CUT], secret[MIN_CUT:]
    head, *tails = text.split(begin)
    made = [head]
    for tail in tails:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(tail, rest, strict=False)))
        cut = tail[same : same + 1] in CUT_BEFORE
        made.append(MASKED + tail[same:] if cut else begin + tail)
    return "".join(made)


def _parts(secrets: Iterable[str]) -> set[str]:
    parts = set()
    for secret in secrets:
        if len(secret) >= MIN_MASKED and secret.lower() not in NOT_SECRET:
            # The forms of the secret in JSON, in a repr, in URLs and in forms.
            parts |= {secret, secret.strip(), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
            parts |= {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
            parts |= {line.strip() for line in secret.splitlines() if len(line) >= MIN_LINE_MASKED}
    return {part for part in parts if len(part) >= MIN_MASKED}
