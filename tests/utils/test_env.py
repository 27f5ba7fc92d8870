"""What containers get of the environment, and what must not be seen of it."""

from __future__ import annotations

import pytest

from microscaling.utils.env import credentials_in, passed_on, secrets_in

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


def test_of_a_secret_in_a_file_only_the_path_is_passed_on() -> None:
    env = passed_on({"MSS_API_TOKEN_FILE": "/run/secrets/api"}, "")
    assert env == ["MSS_API_TOKEN_FILE=/run/secrets/api"]
    assert not credentials_in(env)
    assert not secrets_in(env)


def test_credentials_by_name() -> None:
    env = [
        "AWS_REGION=r",
        "AZURE_X=1",
        "gh_token=2",
        "API_KEY=3",
        "S_SECRET=4",
        "DB_PASSWORDS=5",
        "MYSQL_PASS=6",
        "HTTP_PROXY=http://me:7@proxy",
    ]
    others = [
        "DB_PASSWORD_FILE=/run/secrets/db",
        "AWS_WEB_IDENTITY_TOKEN_FILE=/run/secrets/aws",
        "KEYBOARD=1",
        "MSS_PASS_ENV=*",
        "DATABASE_URL=postgres://me@db",
    ]
    assert credentials_in([*others, *env, env[0]]) == sorted(e.partition("=")[0] for e in env)


def test_secrets_by_name() -> None:
    env = [
        "AWS_REGION=r",
        "AWS_SECRET_ACCESS_KEY=1",
        "AWS_ACCESS_KEY_ID=2",
        "T_TOKEN=3",
        "X_KEY=",
        "my_password=a=b",
        "AZURE_STORAGE_CONNECTION_STRING=AccountKey=4",
        "S_TOKEN_FILE=/run/secrets/s",
        'MSS_CONFIG_DATA={"apps": [{"config": {"url": "redis://:hunter22@h"}}]}',
    ]
    assert secrets_in(env) == ["1", "2", "3", "a=b", "AccountKey=4", "hunter22", "hunter22"]
