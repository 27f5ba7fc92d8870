"""What must not be seen, and text without it."""

from __future__ import annotations

import time

import pytest

from microscaling.secrets.masking import (
    MAX_REMEMBERED,
    Secrets,
    mask,
    passwords_in,
    secrets_of_headers,
    secrets_of_url,
)

KEY = "-----BEGIN\nMIIEpAIBAAKC\nxy\n"


@pytest.mark.parametrize(
    ("text", "secrets", "masked"),
    [
        ("a hunter22 b hunter22", ["hunter22"], "a *** b ***"),
        ("abc 12 of 123", ["abc", "12", "123", ""], "abc 12 of 123"),
        ("it is true", ["true"], "it is true"),
        ("long-secret-and-more", ["long", "long-secret"], "***-and-more"),
        ("sql://u:p%40ss%2Fw@h", ["p@ss/w"], "sql://u:***@h"),
        ("?q=p%40ss%2Fw+rd", ["p@ss/w rd"], "?q=***"),
        ('{"x": "a\\"b\\\\c"}', ['a"b\\c'], '{"x": "***"}'),
        ("'a\\nbcd'", ["a\nbcd"], "'***'"),
        ("MIIEpAIBAAKC", [KEY], "***"),
        ("xy", [KEY], "xy"),
        ("nothing", [], "nothing"),
        ("got 'production-db", ["production-db-1"], "got '***"),
        ('it says "production-..." (production-)', ["production-db-1"], 'it says "***..." (***)'),
        ("production-web and producti", ["production-db-1"], "production-web and ***"),
        (
            "is shorter than short 'short' %2Fshort \\nshort",
            ["short"],
            "is shorter than *** '***' %2F*** \\n***",
        ),
        ("12345 and 1234, a1234", ["1234"], "12345 and ***, a***"),
        ("xs3cr3tx", ["s3cr3t"], "x***x"),
        ("in production, short", ["production-db-1", "shortened"], "in production, short"),
    ],
)
def test_known_secrets(text: str, secrets: list[str], masked: str) -> None:
    assert mask(text, secrets) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("see redis://:hunter22@h:6379/0, ok", "see redis://:***@h:6379/0, ok"),
        ('{"url": "http://me:p@ss@h/x"}', '{"url": "http://me:***@h/x"}'),
        ("two http://a:b@h and //c:d@e", "two http://a:***@h and //c:***@e"),
        ("cut off: http://me:hunt...", "cut off: http://me:***..."),
        ("http://host:8080/a@b and http://host:80...", "http://host:8080/a@b and http://host:80..."),
        ("ssh://me@host, mail to a:b@c", "ssh://me@host, mail to a:b@c"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        ("a bearer token, basic authentication", "a bearer token, basic authentication"),
    ],
)
def test_passwords_and_tokens_that_nobody_knew_of(text: str, masked: str) -> None:
    assert mask(text, []) == masked


def test_passwords_in_text() -> None:
    assert passwords_in('["http://a:p%40ss@h", "http://h:80/@", "//b:c@"]') == ["p%40ss", "c", "p@ss", "c"]


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("http://h/x?q=1", []),
        ("http://me:p%40ss@h/", ["p@ss", "bWU6cEBzcw=="]),
        ("https://t0ken@h/", ["t0ken", "dDBrZW46"]),
        ("http://h/x:a@b", []),
        ("http://me:p€@h/", ["p€", "bWU6cOKCrA=="]),
        ("http://h/?api_key=a%2Fb&page=2&X-Amz-Signature=c", ["a/b", "c"]),
        ("http://[bad", []),
    ],
)
def test_secrets_of_a_url(url: str, secrets: list[str]) -> None:
    assert secrets_of_url(url) == secrets


def test_secrets_of_headers() -> None:
    headers = {"Accept": "text", "authorization": "Bearer abc", "X-Api-Key": "k1", "Cookie": "a=b; sid=c"}
    assert secrets_of_headers(headers) == ["Bearer abc", "k1", "a=b; sid=c", "abc", "b", "sid", "c"]


def test_secrets_can_be_added() -> None:
    secrets = Secrets(["first"])
    assert secrets.mask_again("first second") == "*** second"
    secrets.add(["second"])
    assert secrets.mask_again("first second") == "*** ***"
    assert secrets.mask_again("") == ""


def test_what_is_remembered_is_bounded() -> None:
    secrets = Secrets()
    for number in range(2 * MAX_REMEMBERED):
        assert secrets.mask_again(f"{number}") == f"{number}"
    assert len(secrets._remembered) <= MAX_REMEMBERED


@pytest.mark.parametrize(
    "text", ["//" + "a:" * 50_000, "//a:" * 25_000, "//a:" + "@" * 100_000, "bearer " * 20_000]
)
def test_no_text_takes_long(text: str) -> None:
    """What is not linear would take minutes."""
    began = time.process_time()
    mask(text, [])
    assert time.process_time() - began < 5
