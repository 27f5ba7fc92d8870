"""Secrets: what they look like, and text without them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from itertools import takewhile
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from microscaling.utils.urls import basic, credentials

MASKED = "***"
MIN_MASKED = 4
"""Characters. Shorter values are in so much other text that masking them would make it unreadable,
and would give them away."""
NOT_SECRET = ("true", "false", "none", "null")
MIN_LINE_MASKED = 8
"""Characters of a line of a secret of several lines, such as a private key."""
MIN_CUT = 8
"""Characters of what is left of a secret where a text was cut off."""
CUT_BEFORE = ("", *"'\".)")
"""What may follow there."""
MAX_WORD = 15
"""Characters of a secret that may be part of other text by chance."""
ESCAPES = r"(?<=\\[nrtf])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=%[0-9A-Fa-f]{2})"
"""They end in a letter or digit that belongs to another character."""
MAX_REMEMBERED = 1000
IN_URL = re.compile(r"""(?<=//)([^\s/?#:@"'<>\\]*:)(?!\d{1,5}\.\.\.)([^\s/?#"'<>\\]+)(@|\.\.\.)""")
"""User, password, and the @ that ends it, or the dots where a text was cut off."""
IN_HEADER = re.compile(r"\b(bearer |basic |token=)[\w.~+/=-]{16,}", re.IGNORECASE)
SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|passw|session|credential|signature", re.IGNORECASE)
SECRET_FIELD = re.compile(r"auth|token|key|secret|passw|pwd|session|credential|sig(nature)?$", re.IGNORECASE)
"""Of a URL's query."""


class Secrets:
    """Values that must not be seen; more can be added at any time, from any thread."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._parts: list[str] = []
        self._words: dict[str, re.Pattern[str]] = {}
        self._lock = threading.Lock()
        self._remembered: dict[str, str] = {}
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """From now on these are masked too."""
        parts = _parts(values)
        with self._lock:
            self._words |= {part: _word(part) for part in parts if _is_word(part)}
            self._parts = sorted(parts | {*self._parts}, key=len, reverse=True)
            self._remembered = {}

    def mask(self, text: str) -> str:
        """The text with every secret replaced, also as it looks in a URL, in JSON, line by line, and where
        the text was cut off within it; so are a password in any URL and what follows Bearer, known or not.

        Known values of fewer than 4 characters are left as they are, and so is a short one of letters, or
        of digits, inside a longer word or number: "***er than" would give it away.
        """
        return mask_unknown(self.mask_known(text))

    def mask_known(self, text: str) -> str:
        """The same for the known ones only."""
        for part in self._parts:
            if part in text:
                word = self._words.get(part)
                text = word.sub(MASKED, text) if word else text.replace(part, MASKED)
            if part[:MIN_CUT] in text and len(part) > MIN_CUT:
                text = _without_begun(text, part)
        return text

    def mask_again(self, text: str) -> str:
        """The same for what is looked at again and again: it is worked out once."""
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
    """The text without the passwords in its URLs, and without what follows Bearer and the like."""
    if "//" in text:
        text = IN_URL.sub(rf"\1{MASKED}\3", text)
    return IN_HEADER.sub(rf"\1{MASKED}", text)


def mask(text: str, secrets: Collection[str]) -> str:
    """The text without these secrets; see `Secrets.mask`."""
    return Secrets(secrets).mask(text)


def passwords_in(text: str) -> list[str]:
    """The passwords of all URLs in a text, as they stand there and as they are meant."""
    found = [match[2] for match in IN_URL.finditer(text) if match[3] == "@"]
    return [*found, *(unquote(password) for password in found)]


def secrets_of_url(url: str) -> list[str]:
    """The password in a URL (the user, if there is no password: a token, then), also as it is sent, and
    the values in its query whose names say that they are secret."""
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
    """The values of the headers whose names say that they are secret, and what follows a scheme such as
    Bearer, or a name, in them."""
    found = [value for name, value in headers.items() if SECRET_HEADER.search(name)]
    return [*found, *(word for value in found for word in re.split(r"[\s=;,]+", value)[1:])]


def _is_word(part: str) -> bool:
    return len(part) <= MAX_WORD and (part.isalpha() or part.isdecimal())


def _word(part: str) -> re.Pattern[str]:
    alike = r"\d" if part.isdecimal() else r"[^\W\d_]"
    return re.compile(rf"(?:(?<!{alike})|{ESCAPES}){re.escape(part)}(?!{alike})")


def _without_begun(text: str, secret: str) -> str:
    """The text without what it has of the beginning of a secret, where it was cut off."""
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
            parts |= {secret, secret.strip(), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
            parts |= {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
            parts |= {line.strip() for line in secret.splitlines() if len(line) >= MIN_LINE_MASKED}
    return {part for part in parts if len(part) >= MIN_MASKED}
