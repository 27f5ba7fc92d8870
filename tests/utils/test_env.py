"""What containers get of the environment, and what must not be seen of it."""

from __future__ import annotations

import pytest

from microscaling.utils.env import credentials_in, mask, passed_on, secrets_in

OWN = dict.fromkeys(
    ["PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "_", "VIRTUAL_ENV", "PYTHONPATH", "PYTHON_VERSION"], "x"
)
OTHERS = {"MSS_CONFIG": "FILE", "MY_HOME": "1", "A": "", "AWS_REGION": "r", "B": "x=y"}


@pytest.mark.parametrize(
    ("pass_env", "names"),
    [
        ("", list(OTHERS)),
        ("none", []),
        ("NONE", []),
        ("A,B", ["A", "B"]),
        ("AWS_*, MSS_CONFIG", ["MSS_CONFIG", "AWS_REGION"]),
        ("a", []),
        ("*", list(OTHERS)),
        ("PATH,P*", []),
    ],
)
def test_passed_on(pass_env: str, names: list[str]) -> None:
    assert passed_on(OWN | OTHERS, pass_env) == [f"{name}={OTHERS[name]}" for name in names]


def test_credentials_by_name() -> None:
    env = [
        "AWS_REGION=r",
        "AZURE_X=1",
        "gh_token=2",
        "API_KEY=3",
        "S_SECRET=4",
        "DB_PASSWORD_FILE=5",
        "KEYBOARD=6",
    ]
    assert credentials_in([*env, env[0]]) == sorted(e.partition("=")[0] for e in env[:-1])


def test_secrets_by_name() -> None:
    env = [
        "AWS_REGION=r",
        "AWS_SECRET_ACCESS_KEY=1",
        "AWS_ACCESS_KEY_ID=2",
        "T_TOKEN=3",
        "X_KEY=",
        "my_password=a=b",
        "AZURE_STORAGE_CONNECTION_STRING=AccountKey=4",
    ]
    assert secrets_in(env) == ["1", "2", "3", "a=b", "AccountKey=4"]


@pytest.mark.parametrize(
    ("text", "secrets", "masked"),
    [
        ("a hunter22 b hunter22", ["hunter22"], "a *** b ***"),
        ("abc 12 of 123", ["abc", "12", "123", ""], "abc 12 of 123"),
        ("it is true", ["true"], "it is true"),
        ("long-secret-and-more", ["long", "long-secret"], "***-and-more"),
        ("sql://u:p%40ss%2Fw@h", ["p@ss/w"], "sql://u:***@h"),
        ("MIIEpAIBAAKC", ["-----BEGIN\nMIIEpAIBAAKC\nxy\n"], "***"),
        ("xy", ["-----BEGIN\nMIIEpAIBAAKC\nxy\n"], "xy"),
        ("nothing", [], "nothing"),
    ],
)
def test_mask(text: str, secrets: list[str], masked: str) -> None:
    assert mask(text, secrets) == masked
