"""The body of an HTTP answer: unpacking within a limit, and quotation in errors."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection

from microscaling.secrets.masking import mask
from microscaling.utils.text import one_line

PACKED = ("gzip", "x-gzip", "deflate")
OTHERS = ("br", "compress", "dcb", "dcz", "x-compress", "zstd")
"""The content codings of IANA's list that Python cannot unpack."""
AUTOMATIC = 32 + zlib.MAX_WBITS
"""zlib recognises gzip and zlib by the header (its manual, "inflateInit2")."""
RAW = -zlib.MAX_WBITS
"""Data without a header, which some servers call deflate too (RFC 9110, 8.4.1.2)."""
MAX_QUOTED = 200
MAX_OF_TOLD = 4096
"""Bytes that are read of the body of an error, for the quotation."""
MARKUP = re.compile(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>")


def unpacked(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """Returns the body without its Content-Encoding; an unknown one is ignored.

    Raises ValueError with the name of the encoding if the body does not unpack, and OverflowError if it has
    more than `most_bytes` then.
    """
    # Some servers write a charset there, so an unknown encoding is no error.
    for name in reversed(encoding.lower().split(",")):  # they stand in the order in which they were applied
        coding = name.strip()
        if coding in PACKED and body:
            try:
                body = _inflated(body, coding, most_bytes)
            except ValueError:
                raise ValueError(f"claims to be packed ({coding}), but does not unpack") from None
        elif coding in OTHERS and not _is_text(body):  # text cannot be packed: the header is wrong
            raise ValueError(f"is packed ({coding}), which was not asked for")
    return body


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except ValueError:
        return False
    return True


def _inflated(body: bytes, coding: str, most_bytes: int) -> bytes:
    made = b""
    has_header = body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0  # RFC 1950, 2.2
    bits = RAW if coding == "deflate" and not has_header else AUTOMATIC
    try:
        while body:  # gzip may come in several members, one behind the other
            unpacker = zlib.decompressobj(bits)
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
    """Returns the first 200 characters of the body of an error, on one line and without secrets."""
    text = body.decode("utf-8", "replace")
    if len(body) >= MAX_OF_TOLD:  # the end may cut through a secret, and its beginning must not stay
        text = text[: -max(map(len, secrets), default=0) or None]
    if text.lstrip().startswith("<"):
        text = MARKUP.sub(" ", text)
    return one_line(mask(" ".join(text.split()), secrets)[:MAX_QUOTED].strip())
