"""Secrets in files: what an error says of a file that cannot be used."""

from __future__ import annotations

import pytest

from microscaling.errors import ConfigError
from microscaling.secrets.secret_file import MAX_PATH, read_secret


def test_an_error_shows_the_beginning_of_a_name_that_no_file_has() -> None:
    with pytest.raises(ConfigError) as raised:
        read_secret("MSS_API_TOKEN", {"MSS_API_TOKEN_FILE": "9" * 5000})
    (line,) = raised.value.problems
    assert line.startswith(f"MSS_API_TOKEN_FILE: {'9' * MAX_PATH}...: cannot be read")
