"""URLs that people write: what is meant arrives, and what could mean two things is refused."""

from __future__ import annotations

import string

import pytest

from microscaling.errors import ConfigError
from microscaling.utils.urls import check_url, credentials, cut

HTTP = ("http", "https")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://h/a@b", ("http://", "h", "/a@b")),
        ("http://u:p@h:1?q=a@b", ("http://", "u:p@h:1", "?q=a@b")),
        ("http://u:p@h#a@b", ("http://", "u:p@h", "#a@b")),
        ("redis://:p@ss@h", ("redis://", ":p@ss@h", "")),
        ("h:80/x", ("", "h:80", "/x")),
        ("", ("", "", "")),
    ],
)
def test_cut(url: str, parts: tuple[str, str, str]) -> None:
    assert cut(url) == parts
    assert "".join(parts) == url


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h/a:b@c", (b"", b"")),
        ("http://u:p%40%2F@h", (b"u", b"p@/")),
        ("http://u:a@b:c@h", (b"u", b"a@b:c")),
        ("http://t0ken@h", (b"t0ken", b"")),
        ("http://ü:p€@h", ("ü".encode(), "p€".encode())),
        ("http://u:%E9@h", (b"u", b"\xe9")),
        ("http://u:100%@h", (b"u", b"100%")),
    ],
)
def test_credentials(url: str, sent: tuple[bytes, bytes]) -> None:
    assert credentials(url) == sent


@pytest.mark.parametrize(
    "url",
    [
        "http://h", "https://h:8080/x?a=b", "http://u:p@h/", "http://u:p@ss@h/x", "http://[::1]:80/x",
        "http://my_queue/x", "http://bücher.example/", "HTTP://h/",
        "http://h.example.:80/", f"http://{'a' * 63}.b/", "http://http:80/", "http://https/x",
        # an @ that cannot be the end of a password
        "http://h/a@b", "http://h/users/me@example.com/n", "http://h?q=a@b", "http://10.0.0.1:80/a@b",
        "http://localhost:80/users/a@b?c=d@e", "http://me:pw@h:80/users/a@b", "http://h:80/x?mail=a@b",
        "http://me:pw@h/x?mail=a@b&n=1", "http://[::1]:80/a@b",
    ],
)  # fmt: skip
def test_good(url: str) -> None:
    check_url(url, HTTP, "a URL")


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "h:80", "ftp://h", "http://", "http:///x", "http://u:p@", "http://h:x", "http://h:0",
        "http://h:99999", "http://[::1", "http://h/a b", "http://h/\n", "http://h\\x", "http://h/#x",
        "http://${HOST}:80/", "http://$HOST/", "http://a,b{c}/",
        "http://.", "http://h..x:1", "http://.h/", f"http://{'a' * 64}:1", "http://http:/h:1", "http://https//h:1",
        # what is port and path to everything else was meant to be a password
        "http://user:1/2@host/", "http://user:1/2@host", "http://user:1?2@host/x", "http://user:1#2@host",
        "http://user:/2@host", "http://u:p@x/y@host/", "http://u.v:1/2@host:80/", "http://user:1/a?b=c@h:80/",
        "redis://user:1/2@host/0",
    ],
)  # fmt: skip
def test_bad(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected a URL") as error:
        check_url(url, (*HTTP, "redis"), "a URL")
    assert "host/" not in str(error.value)
    assert "2@" not in str(error.value)


@pytest.mark.parametrize("character", string.printable + "é€")
def test_any_character_in_a_raw_password_arrives_or_is_refused(character: str) -> None:
    password = f"hunter{character}zz"
    url = f"http://me:{password}@queue.example:15672/api?x=y"
    if character in string.whitespace + "/?#[]\\":
        with pytest.raises(ConfigError) as error:
            check_url(url, HTTP, "a URL")
        assert "hunter" not in str(error.value)
    else:
        check_url(url, HTTP, "a URL")
        assert credentials(url) == (b"me", password.encode())
        assert cut(url)[1].rpartition("@")[2] == "queue.example:15672"
