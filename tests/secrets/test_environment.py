"""What containers get of the environment, and what must not be seen of it."""

from __future__ import annotations

import pytest

from microscaling.secrets.environment import credentials_in, passed_on, secrets_in

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


CREDENTIALS = """
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN
    AZURE_STORAGE_ACCOUNT_KEY AZURE_STORAGE_KEY AZURE_STORAGE_CONNECTION_STRING AZURE_CLIENT_SECRET
    SERVICEBUS_CONNECTION_STRING APPINSIGHTS_CONNECTIONSTRING AZURE_STORAGE_SAS_TOKEN gh_token
    GITHUB_TOKEN GITHUBTOKEN GITHUB_TOKEN_RO NPM_TOKEN API_TOKENS githubToken TOKEN API_KEY APIKEY
    apiKey OPENAI_API_KEY API_KEY_PROD STRIPE_API_KEYS SSH_PRIVATE_KEY PRIVATE_KEY S_SECRET
    SECRET_KEY_BASE DJANGO_SECRET_KEY CLIENTSECRET client.secret SECRET APP_KEY DB_PASSWORDS
    PASSWORD PGPASSWORD MYSQL_ROOT_PASSWORD MYSQL_PWD MYSQL_PASS DBPASS DBPASSWORD DB_PASSWD
    dbPassword DB_PASSWORD_2 DB_PASSWORD2 SMTP_PASS KEYSTORE_PASSPHRASE RABBITMQ_DEFAULT_PASS
    REDIS_AUTH NPM_AUTH COMPOSER_AUTH DOCKER_AUTH_CONFIG PROXY_AUTHORIZATION GITHUB_PAT
    GCP_CREDENTIALS SERVICE_CREDS JWT_SECRET BASIC_AUTH MSS_API_TOKEN MSS_MARATHON_TOKEN
""".split()  # noqa: SIM905 - words read better without quotes
NONE = """
    AWS_REGION AWS_CA_BUNDLE AWS_PROFILE AWS_DEFAULT_REGION AWS_ENDPOINT_URL
    AWS_WEB_IDENTITY_TOKEN_FILE AWS_SHARED_CREDENTIALS_FILE AWS_EC2_METADATA_DISABLED AWS_ROLE_ARN
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AZURE_CLIENT_ID AZURE_TENANT_ID
    AZURE_STORAGE_ACCOUNT_NAME AZURE_AUTHORITY_HOST AZURE_CONFIG_DIR GOOGLE_APPLICATION_CREDENTIALS
    GOOGLE_CLOUD_PROJECT KEYBOARD MONKEY MONKEYS HOTKEY KEYMAP KEYCLOAK_URL KEY_BINDINGS KEY
    PUBLIC_KEY PARTITION_KEY SSH_AUTH_SOCK SSH_AUTHORIZED_KEYS SSH_AGENT_PID GPG_KEY_ID
    KEY_VAULT_NAME XAUTHORITY AUTHOR GIT_AUTHOR_NAME AUTHORS AUTH_MODE AUTH_URL AUTH_ENABLED
    AUTH0_DOMAIN OAUTH_CLIENT_ID COMPASS BYPASS PASSENGER PASSENGER_APP_ENV PASSIVE_MODE PASSTHROUGH
    MSS_PASS_ENV OLDPWD INIT_CWD TOKENIZERS_PARALLELISM TOKENIZER MAX_TOKENS OPENAI_MAX_TOKENS
    TOKEN_TTL TOKEN_URL TOKEN_FILE DB_PASSWORD_FILE PGPASSFILE PASSWORD_MIN_LENGTH SECRET_NAME
    SECRETARY SECRETS_DIR CREDENTIALS_PATH DESKTOP_SESSION PATH_INFO LS_COLORS DATABASE_URL
    MSS_API_TOKEN_FILE DOCKER_CERT_PATH PASSWORD_STORE_DIR
""".split()  # noqa: SIM905 - words read better without quotes


@pytest.mark.parametrize("name", CREDENTIALS)
def test_credentials_by_name(name: str) -> None:
    assert credentials_in([f"{name}=s3cr3t", f"{name}=s3cr3t", "A=1"]) == [name]
    assert secrets_in([f"{name}=a=b"]) == ["a=b"]


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_credential_by_name(name: str) -> None:
    assert credentials_in([f"{name}=value"]) == []
    assert secrets_in([f"{name}=value"]) == []


@pytest.mark.parametrize("value", ["", " ", "true", "False", "no", "off", "none"])
def test_a_switch_is_no_credential(value: str) -> None:
    assert credentials_in([f"DISABLE_AUTH={value}", f"API_KEY={value}"]) == []


HEX = "0123456789abcdef0123456789abcdef"
BY_VALUE = [
    ("HTTP_PROXY", "http://me:7777@proxy", {"7777"}),
    ("DATABASE_URL", "postgres://me:hunter22@db/x?sslmode=require", {"hunter22"}),
    ("REDIS_URL", "redis://:hunter22@h:6379/0", {"hunter22"}),
    ("CELERY_BROKER_URL", "amqps://u:p%40ss@rabbit//", {"p%40ss", "p@ss"}),
    ("MSS_CONFIG_DATA", '{"apps": [{"config": {"url": "redis://:hunter22@h"}}]}', {"hunter22"}),
    ("SENTRY_DSN", f"https://{HEX}@o1.ingest.sentry.io/1", {HEX}),
    ("REPOSITORY", f"https://ghp_{HEX}@github.com/x/y.git", {f"ghp_{HEX}"}),
    ("PG_DSN", "host=db user=me password=hunter22 dbname=x", {"hunter22"}),
    ("SQLSERVER", "Server=db;Uid=me;Pwd=hunter22;", {"hunter22"}),
    ("STORAGE", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=aGk=;EndpointSuffix=y", {"aGk="}),
    ("BUS", "Endpoint=sb://x/;SharedAccessKeyName=root;SharedAccessKey=aGk=", {"aGk="}),
    ("BLOB", "https://x.blob.core.windows.net/c?sv=2024&sig=s3cr3t%3D", {"s3cr3t="}),
    ("DEPLOY", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"}),
]


@pytest.mark.parametrize(("name", "value", "secrets"), BY_VALUE)
def test_credentials_by_value(name: str, value: str, secrets: set[str]) -> None:
    assert credentials_in([f"{name}={value}"]) == [name]
    assert set(secrets_in([f"{name}={value}"])) == secrets


@pytest.mark.parametrize(
    "value",
    [
        "postgres://me@db/x",
        "https://example.com/a?b=c",
        "git@github.com:x/y.git",
        "http://[::1]:80/",
        "user=me host=db",
        "http://h?tokenised",
        "-----BEGIN CERTIFICATE-----\nAAAA",
        "password",
        "a//b@c",
    ],
)
def test_what_is_no_credential_by_value(value: str) -> None:
    assert credentials_in([f"SOMETHING={value}"]) == []
