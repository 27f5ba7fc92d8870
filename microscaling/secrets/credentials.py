"""Which environment variables hold credentials: by the words of their name, or by the look of their value."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from microscaling.secrets.masking import SECRET_FIELD, passwords_in

WORDS = frozenset(
    """
    APIKEY AUTHORIZATION AUTHTOKEN BEARER CREDENTIAL CREDENTIALS CREDS JWT PASSPHRASE PASSWD
    PASSWORD PASSWORDS PW SECRET SECRETS TOKEN
    """.split()  # noqa: SIM905 - words read better without quotes
)
"""A name with one of these among its words is a credential's, unless it ends in one of BESIDE."""
LAST_WORDS = {"AUTH", "KEY", "KEYS", "PASS", "PAT", "PWD", "TOKENS"}
"""Words that mean a credential only at the end of a name: KEY_BINDINGS, SSH_AUTH_SOCK, PASS_ENV are none."""
KEYS = ("ACCESS_KEY", "ACCOUNT_KEY", "API_KEY", "ENCRYPTION_KEY", "PRIVATE_KEY", "SECRET_KEY", "SIGNING_KEY")
AUTHS = ("AUTH_CONFIG", "AUTH_HEADER", "AUTH_JSON", "AUTH_STRING")
"""Pairs of words that mean a credential anywhere in a name."""
RUN_TOGETHER = re.compile(
    r"(PASSWORDS?|PASSWD|PASSPHRASE|SECRET|TOKEN|APIKEY|(ACCESS|ACCOUNT|AUTH|PRIVATE|SECRET)KEY|CREDENTIALS"
    r"|(DB|PG|SQL|SMTP|MAIL|REDIS|FTP|LDAP|ROOT|ADMIN|USER|PROXY|SSH)(PASS|PW|PWD))$"
)
"""The end of a word such as PGPASSWORD or GITHUBTOKEN; COMPASS, BYPASS and OLDPWD are none."""
BESIDE = frozenset(
    """
    AGENT ALGORITHM ALG AUDIENCE BACKEND BITS COUNT DIR DISABLED DOMAIN DURATION ENABLED ENDPOINT
    DIRECTORY EXPIRATION EXPIRES EXPIRY FILE FORMAT HELPER HOST ID INTERVAL ISSUER LENGTH LEVEL LIMIT MAX
    METHOD MIN MODE NAME NAMESPACE PARALLELISM PATH PID POLICY PORT PREFIX PROVIDER REALM REGION
    REQUIRED SCOPE SCOPES SERVER SIZE SOCK SOCKET SUFFIX TIMEOUT TTL TYPE URI URL USER USERNAME
    VERSION
    """.split()  # noqa: SIM905 - words read better without quotes
)
"""A name with such an end describes a credential or its place, and does not hold it: TOKEN_FILE."""
NO_SECRET_BEFORE = frozenset(
    """
    AUTHORIZED CACHE COMPLETION CONTEXT FOREIGN HOST INPUT KNOWN MAX MIN OUTPUT PARTITION PRIMARY
    PROMPT PUBLIC PUBLISHABLE ROUTING SORT TOTAL
    """.split()  # noqa: SIM905 - words read better without quotes
)
"""Words before one of LAST_WORDS that make it harmless: PUBLIC_KEY, MAX_TOKENS."""
WHOLE_VALUE = re.compile(r"(CONNECTION_?STRING|CONN_?STR(ING)?)$")
"""End of a name whose value has credentials among other parts, so all of it is secret."""
EXACTLY = {"AWS_ACCESS_KEY_ID"}
PLACES = {"GOOGLE_APPLICATION_CREDENTIALS"}
"""Names that look like a credential, and by convention hold the path of a file."""
SWITCHES = {"", "true", "false", "yes", "no", "on", "off", "none", "null"}
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
PAIR = re.compile(
    r"(?:^|[;&\s])(?:password|passwd|pwd|accountkey|sharedaccesskey|secretkey|accesskey)\s*=\s*([^;&\s]+)",
    re.IGNORECASE,
)
"""A secret part of a connection string of libpq, ODBC, ADO.NET or Azure."""
TOKEN_IN_URL = re.compile(r"//([\w~.+-]{20,})@")
"""A user of 20 characters or more is a token, as in https://TOKEN@host or in Sentry's DSN."""


def secrets_of(name: str, value: str) -> list[str]:
    """Returns the secret parts of a variable's value; none if it holds no credential."""
    # USE_TOKEN=true holds no secret, and masking the word "true" would garble the log.
    if value.strip().lower() in SWITCHES:
        return []
    if names_credential(name) or PRIVATE_KEY.search(value):
        return [value]
    return [*passwords_in(value), *TOKEN_IN_URL.findall(value), *PAIR.findall(value), *_of_query(value)]


def names_credential(name: str) -> bool:
    """Whether the name of a variable suggests that it holds a credential."""
    # Names in camelCase are split too, and numbers at the end (TOKEN2) are ignored.
    words = re.split("[^A-Z0-9]+", re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).upper())
    words = [word.rstrip("0123456789") or word for word in words if word]
    whole = "_".join(words)
    if whole in EXACTLY or WHOLE_VALUE.search(whole):
        return True
    if not words or words[-1] in BESIDE or whole in PLACES:
        return False
    if any(word in WORDS or RUN_TOGETHER.search(word) for word in words):
        return True
    if any(f"_{part}_" in f"_{whole}_" for part in (*KEYS, *AUTHS)):
        return True
    before = words[-2] if len(words) > 1 else ""
    return words[-1] in LAST_WORDS and len(words) > 1 and before not in NO_SECRET_BEFORE


def _of_query(value: str) -> list[str]:
    """Returns the secret fields of a URL's query, such as the `sig` of a shared access signature."""
    if "://" not in value or "?" not in value or len(value.split()) != 1:
        return []
    try:
        fields = parse_qsl(urlsplit(value).query)
    except ValueError:
        return []
    return [text for field, text in fields if SECRET_FIELD.search(field)]
