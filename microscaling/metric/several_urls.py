"""The URLs of several servers of one system, in one field, with commas between them."""

from __future__ import annotations

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError
from microscaling.secrets.masking import secrets_of_url
from microscaling.utils.urls import check_url

SCHEMES = ("http", "https")


def split(urls: str) -> list[str]:
    """Returns the URLs, without a slash at their end."""
    return [url.strip().rstrip("/") for url in urls.split(",")]


def check_urls(urls: str, form: str) -> None:
    """Raises ConfigError, with the expected `form`, if one of the URLs cannot be the base of others."""
    for url in split(urls):
        check_url(url, SCHEMES, form)
        if "?" in url:
            raise ConfigError(f"expected {form}")


def public_urls(urls: str) -> str:
    """Returns them for a log, without credentials."""
    return ", ".join(map(public_url, split(urls)))


def secrets_of_urls(urls: str) -> list[str]:
    """Returns the passwords in them."""
    return [secret for url in split(urls) for secret in secrets_of_url(url)]
