"""Set-ups that are broken, and what `microscaling check` says of each: the table of docs/check.md, and the cases of
its test."""

# ruff: noqa: E501 - a line that stands here whole can be searched for

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

APPS = """\
maxContainers: 4
apps:
  - name: mailer
    priority: 1
    maxContainers: 4
    ruleType: Queue
    metricType: Redis
    config:
      image: {image}
      command: sleep 1000
      targetQueueLength: 50
      url: {redis}
      key: jobs
"""
"""The file apps.yml, in which all is well: `jobs` is a list in Redis, `later` a sorted set. {redis} is its URL, {image}
an image that the engine has."""
SECOND = """\
  - name: other
    priority: {priority}
    maxContainers: 4
    ruleType: SimpleQueue
    metricType: Redis
    config:
      image: {image}
      targetQueueLength: 5
      url: {redis}
      key: jobs
"""
HELD = "; so it would stay as it is, with 0 containers"
IMAGE = "image: {image}"
KEY = "key: jobs"
TOY, ENGINE, PROCESS = "TOY", "DOCKER", "PROCESS"
PORTS = f"{IMAGE}\n      networkMode: bridge\n      ports: "


@dataclass(frozen=True)
class Case:
    """One row: what is wrong, the line that says so, and the exit code of `check` and of `check --strict`."""

    about: str
    said: str
    """{public} is the URL of the Redis without user and password, {folder} that of the file."""
    code: int
    swap: tuple[str, str] = ("", "")
    """Text of APPS, and the mistake in its place."""
    scheduler: str = TOY
    variables: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    """Text after APPS."""
    apps: str = APPS

    @property
    def text(self) -> str:
        """The file."""
        return self.apps.replace(*self.swap, 1) + self.more

    @property
    def level(self) -> str:
        """The level of the line."""
        return "warning" if self.code == 0 else "error"


VARIABLES = (
    Case(
        "`MSS_LOGDEBUG=all`",
        "MSS_LOGDEBUG: is not known, and ignored; did you mean MSS_LOG_DEBUG?",
        0,
        variables={"MSS_LOGDEBUG": "all"},
    ),
    Case(
        "`MSS_DRYRUN=true`",
        "MSS_DRYRUN: is not known; did you mean MSS_DRY_RUN?",
        2,
        variables={"MSS_DRYRUN": "true"},
    ),
    Case(
        "`MSS_API_TOKEN_FILE=/no/such`",
        "MSS_API_TOKEN_FILE: /no/such: cannot be read: No such file or directory",
        2,
        variables={"MSS_API_TOKEN_FILE": "/no/such"},
    ),
    Case(
        "`DOCKER_HOST=unix:///no.sock`",
        "Docker engine unix:///no.sock: cannot connect to the Docker daemon at unix:///no.sock (from DOCKER_HOST): there is no such socket; is the docker daemon running? Start it",
        1,
        scheduler=ENGINE,
        variables={"DOCKER_HOST": "unix:///no.sock"},
    ),
    Case(
        "a password in the agent's environment, which containers get",
        "every container gets these credentials of the agent's environment: REDIS_PASSWORD; MSS_PASS_ENV narrows it (none, or a comma-separated list of names and patterns)",
        0,
        scheduler=ENGINE,
        variables={"REDIS_PASSWORD": "example"},
    ),
)
FILES = (
    Case(
        "no YAML",
        "apps.yml: not YAML: line 1, column 17: expected the node content, but found '<stream end>'",
        2,
        apps="maxContainers: [",
    ),
    Case(
        "`targetQueueLenght`",
        "apps.yml: apps[0].config.targetQueueLenght: is not known; did you mean targetQueueLength?",
        2,
        ("targetQueueLength", "targetQueueLenght"),
    ),
    Case(
        "`metricType: Rediss`",
        "apps.yml: apps[0].metricType: expected ",
        2,
        ("metricType: Redis", "metricType: Rediss"),
    ),
    Case(
        "a `${REDIS_URL}` that is not set",
        "apps.yml: apps[0].config.url: the variable REDIS_URL, which it refers to, is not set",
        2,
        ("{redis}", "${REDIS_URL}"),
    ),
    Case(
        "minimums above the cap",
        "maxContainers: is 4, but the minContainers of the tasks add up to 6: those of the lowest priority will have fewer than their minimum",
        0,
        ("maxContainers: 4\n    ruleType", "maxContainers: 9\n    minContainers: 6\n    ruleType"),
    ),
    Case(
        "two tasks of one priority",
        "priority: mailer, other have the same, 1: when they want more than the cap allows, the first in the list takes all of it, and the others keep their minimum; give each a priority of its own",
        0,
        more=SECOND.replace("{priority}", "1"),
    ),
    Case(
        "`targetQueueLength: 3`",
        "targetQueueLength: mailer: 3 is too small for Queue, which gives nothing back before the queue has been empty for idleSeconds; use 13 or more, or SimpleQueue with 2 or more",
        0,
        ("targetQueueLength: 50", "targetQueueLength: 3"),
    ),
    Case(
        "`networks` with `MSS_SCHEDULER=PROCESS`",
        "mailer: config.networks: MSS_SCHEDULER=PROCESS cannot do it: leave it out",
        2,
        (KEY, f"{KEY}\n      networks: [back]"),
        scheduler=PROCESS,
    ),
)
SOURCES = (
    Case(
        "no Redis there",
        f"mailer: Redis at redis://127.0.0.1:1/0: Error 111 connecting to 127.0.0.1:1. Connection refused{HELD}",
        1,
        ("{redis}", "redis://127.0.0.1:1/0"),
    ),
    Case(
        "a user that Redis does not know",
        f"mailer: Redis at {{public}}: invalid username-password pair or user is disabled{HELD}",
        1,
        ("{redis}", "{redis_of_mailer}"),
    ),
    Case(
        "`key: jbos`",
        'Redis at {public}: the key "jbos" has not existed since the start, but "jobs" exists: is that the right name?',
        0,
        (KEY, "key: jbos"),
    ),
    Case(
        "`key: later`",
        f"mailer: Redis at {{public}}: LLEN later: WRONGTYPE Operation against a key holding the wrong kind of value; is it of another kind: list, stream, group, zset or due?{HELD}",
        1,
        (KEY, "key: later"),
    ),
    Case(
        "no nsqd there",
        f"mailer: http://127.0.0.1:1/stats: Connection refused{HELD}",
        1,
        (
            "metricType: Redis",
            "metricType: NSQ",
        ),
        variables={"NSQ_STATS_ENDPOINT": "127.0.0.1:1"},
        apps=APPS.replace("url: {redis}\n      key: jobs", "topicName: mails\n      channelName: mailer"),
    ),
    Case(
        "an API without the number",
        f"mailer: {{http}}/stats waiting: the answer has no 'waiting': it is an object without it{HELD}",
        1,
        ("metricType: Redis", "metricType: HTTP"),
        apps=APPS.replace("url: {redis}\n      key: jobs", "url: {http}/stats\n      path: waiting"),
    ),
    Case(
        "an API with another address",
        'mailer: {http}/none: answers with HTTP 404: {"queued": 7}' + HELD,
        1,
        ("metricType: Redis", "metricType: HTTP"),
        apps=APPS.replace("url: {redis}\n      key: jobs", "url: {http}/none\n      path: queued"),
    ),
    Case(
        "no SQLite file",
        f"mailer: sqlite:///{{folder}}/none.db: there is no such file{HELD}",
        1,
        ("metricType: Redis", "metricType: SQL"),
        apps=APPS.replace(
            "url: {redis}\n      key: jobs", "databaseURL: sqlite:///{folder}/none.db\n      query: SELECT 1"
        ),
    ),
    Case(
        "no such table",
        f"mailer: sqlite:///{{folder}}/jobs.db: no such table: job{HELD}",
        1,
        ("metricType: Redis", "metricType: SQL"),
        apps=APPS.replace(
            "url: {redis}\n      key: jobs",
            "databaseURL: sqlite:///{folder}/jobs.db\n      query: SELECT count(*) FROM job",
        ),
    ),
)
BACKENDS = (
    Case(
        "`command: no-such-program` with `MSS_SCHEDULER=PROCESS`",
        "mailer: the command 'no-such-program' is not there",
        1,
        ("command: sleep 1000", "command: no-such-program"),
        scheduler=PROCESS,
    ),
    Case(
        "an image that nobody has built, with `MSS_PULL_IMAGES=false`",
        'mailer: config.image: "example/mailer:1" is not on the engine, and MSS_PULL_IMAGES is false: docker pull example/mailer:1, or build it',
        1,
        (IMAGE, "image: example/mailer:1"),
        scheduler=ENGINE,
        variables={"MSS_PULL_IMAGES": "false"},
    ),
    Case(
        "an image that cannot be pulled",
        'mailer: config.image: "127.0.0.1:1/mailer:1" is not on the engine, and cannot be pulled: ',
        1,
        (IMAGE, "image: 127.0.0.1:1/mailer:1"),
        scheduler=ENGINE,
    ),
    Case(
        "an image by an id that is not there",
        'mailer: config.image: "0123456789abcdef" is not on the engine, and an id cannot be pulled: load it, or give the name of an image',
        1,
        (IMAGE, 'image: "0123456789abcdef"'),
        scheduler=ENGINE,
    ),
    Case(
        "`networks: [bakc]`",
        'mailer: config.networks: there is no network "bakc": docker network create bakc',
        1,
        (KEY, f"{KEY}\n      networks: [bakc]"),
        scheduler=ENGINE,
    ),
    Case(
        '`volumes: ["dtaa:/data"]`',
        'mailer: config.volumes: there is no volume "dtaa": the engine makes an empty one; is it the right name?',
        0,
        (KEY, f'{KEY}\n      volumes: ["dtaa:/data"]'),
        scheduler=ENGINE,
    ),
    Case(
        "a port of the host that two tasks want",
        "other: config.ports: the host's port 18088 is that of mailer, too: change one",
        1,
        ("maxContainers: 4\n    ruleType", "maxContainers: 1\n    ruleType"),
        scheduler=ENGINE,
        apps=APPS.replace(IMAGE, f'{PORTS}["18088:80"]'),
        more=SECOND.replace("{priority}", "2")
        .replace("maxContainers: 4", "maxContainers: 1")
        .replace(IMAGE, f'{PORTS}["18088:80"]'),
    ),
)
GROUPS: Mapping[str, tuple[Case, ...]] = {
    "Variables": VARIABLES,
    "The file": FILES,
    "Sources": SOURCES,
    "What runs the containers": BACKENDS,
}


def cases() -> Iterator[Case]:
    """Returns all of them."""
    for group in GROUPS.values():
        yield from group


def rows(group: tuple[Case, ...]) -> Iterator[tuple[str, str, str]]:
    """Returns the rows of a table: what is wrong, what is said, the exit code."""
    for case in group:
        said = case.said.replace("{public}", "redis://redis:6379/0").replace("{http}", "http://app:8080")
        said = said.replace("{folder}", "/srv").replace(HELD, "; so it would stay as it is…")
        said += "…" if said.endswith(" ") else ""
        yield case.about, f"`{case.level}  {said}`".replace("|", "\\|"), str(case.code)
