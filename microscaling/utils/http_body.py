"""The body of an HTTP answer: unpacked within a limit, and as an error quotes it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection

from microscaling.utils.masking import mask
from microscaling.utils.text import one_line

PACKED = ("gzip", "x-gzip", "deflate")
AUTOMATIC = 32 + zlib.MAX_WBITS
"""zlib finds out itself whether it is gzip or zlib (its manual, "inflateInit2")."""
MOST_QUOTED = 200
MOST_OF_TOLD = 4096
"""Bytes of the body of an error that are read to quote from it."""
MARKUP = re.compile(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>")


def unpacked(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """The body without its Content-Encoding; one that is not known is left as it is, as some servers
    write a charset there. Raises ValueError if it does not unpack, or OverflowError if to too much."""
    if encoding.strip().lower() not in PACKED or not body:
        return body
    made = b""
    try:
        while body:  # gzip may come in several members, one behind the other
            unpacker = zlib.decompressobj(AUTOMATIC)
            made += unpacker.decompress(body, most_bytes + 1 - len(made))
            if len(made) > most_bytes:
                raise OverflowError
            if not unpacker.eof:
                raise ValueError("the body is cut short")
            body = unpacker.unused_data
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return made


def quotation(body: bytes, secrets: Collection[str]) -> str:
    """The first 200 characters of what an error says, on one line and without secrets."""
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = MARKUP.sub(" ", text)
    return one_line(mask(" ".join(text.split()), secrets)[:MOST_QUOTED].strip())
