"""First mistakes, and the answer to each: the table of docs/mistakes.md, and the cases of its test."""

# ruff: noqa: E501 - an answer that stands here whole can be searched for

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from microscaling.metric.base import METRICS
from microscaling.target.base import RULES
from microscaling.utils.text import alternatives

RULE_TYPES = alternatives([rule.type_name for rule in RULES.ours()])
METRIC_TYPES = alternatives([kind.type_name for kind in METRICS.ours()])

APPS = """\
maxContainers: 4
apps:
  - name: mailer
    priority: 1
    maxContainers: 4
    ruleType: Queue
    metricType: Redis
    config:
      image: example/mailer:1
      url: redis://127.0.0.1:1/0
      key: jobs
      targetQueueLength: 50
"""
"""The file apps.yml in which the mistakes are made."""
AGENT = "microscaling -f apps.yml"
TOY = f"MSS_SCHEDULER=TOY {AGENT}"
"""In the table the variable that spares the tests an engine is left out."""
PROCESS = f"MSS_SCHEDULER=PROCESS {AGENT}"
ANY = "…"
"""In what is said: any text, such as the number of a process."""


@dataclass(frozen=True)
class Mistake:
    """One row: a command line with its variables, the line that answers it, and the exit code, None if the
    agent goes on."""

    typed: str
    said: str
    code: int | None = 2
    swap: tuple[str, str] = ("", "")
    """Text of APPS, and the mistake in its place."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files, or folders, if a name ends in a slash, in place of apps.yml."""
    about: str = ""
    """What is wrong with the files, in words."""
    needs: str = ""
    """A condition that the test brings about, by its name there."""

    @property
    def shown(self) -> str:
        """The command as the table shows it, with what is wrong."""
        typed = self.typed.replace(TOY, AGENT)
        new = " ".join(self.swap[1].split())
        old = " ".join(self.swap[0].split())
        change = f"`{new}` in place of `{old}`" if new and old else f"without `{old}`" if old else ""
        return "; ".join(part for part in (f"`{typed}`", self.about or change) if part)

    def command(self) -> tuple[dict[str, str], list[str]]:
        """Returns the variables and the arguments."""
        words = shlex.split(self.typed)
        start = words.index("microscaling")
        return dict(word.split("=", 1) for word in words[:start]), words[start + 1 :]

    def all_files(self) -> dict[str, str]:
        """Returns the files by name."""
        return {**({} if self.files else {"apps.yml": APPS.replace(*self.swap, 1)}), **self.files}


VARIABLES = (
    Mistake(f"MSS_DRYRUN=true {AGENT}", "MSS_DRYRUN: is not known; did you mean MSS_DRY_RUN?"),
    Mistake(f"MSS_SCHEDULR=TOY {AGENT}", "MSS_SCHEDULR: is not known; did you mean MSS_SCHEDULER?"),
    Mistake(
        f"MSS_LOGDEBUG=all {TOY}",
        "MSS_LOGDEBUG: is not known, and ignored; did you mean MSS_LOG_DEBUG?",
        None,
    ),
    Mistake(f"MSS_DRY_RUN=yes-please {AGENT}", 'MSS_DRY_RUN: expected true or false, got "yes-please"'),
    Mistake(
        f"MSS_SCHEDULER=DOKCER {AGENT}",
        "MSS_SCHEDULER=DOKCER is not available in this version; did you mean DOCKER? set MSS_SCHEDULER to: COMPOSE, DOCKER, KUBERNETES, MARATHON, PROCESS, SWARM, TOY",
    ),
    Mistake(f"MSS_ON_EXIT=keep {TOY}", 'MSS_ON_EXIT: expected stop or leave, got "keep"'),
    Mistake(
        "MSS_CONFIG_DATA={} MSS_CONFIG_FILE=apps.yml microscaling",
        "MSS_CONFIG: is not set, but MSS_CONFIG_FILE and MSS_CONFIG_DATA both are; set it to FILE or ENVVAR, "
        "or take one of them away",
    ),
    Mistake(
        "MSS_CONFIG_DATA=apps.yml MSS_SCHEDULER=TOY microscaling",
        "MSS_CONFIG_DATA: not JSON: line 1, column 1: Expecting value",
    ),
    Mistake(
        f"MSS_API_TOKEN_FILE=/no/such {TOY}",
        "MSS_API_TOKEN_FILE: /no/such: cannot be read: No such file or directory",
    ),
)
ARGUMENTS = (
    Mistake(
        "MSS_SCHEDULER=TOY microscaling",
        "MSS_API_ADDRESS: the public server app.microscaling.com is gone; set MSS_API_ADDRESS to a server of "
        "your own, or MSS_CONFIG to FILE (microscaling -f FILE), ENVVAR or HARDCODED",
        about="nothing that names a configuration",
    ),
    Mistake(
        "microscaling start",
        'unknown argument "start"; the agent needs no command: microscaling -f FILE; microscaling --help lists '
        "the arguments",
    ),
    Mistake(
        "microscaling apps.yml",
        'unknown argument "apps.yml"; did you mean -f apps.yml?; microscaling --help lists the arguments',
    ),
    Mistake(
        "microscaling -f",
        "argument -f/--file: expected one argument; microscaling --help lists the arguments",
    ),
    Mistake(
        "microscaling --config apps.yml",
        'unknown argument "--config"; did you mean -f FILE?; microscaling --help lists the arguments',
    ),
    Mistake(
        f"{AGENT} --verbose",
        'unknown argument "--verbose"; it is a variable: MSS_LOG_DEBUG=all; microscaling --help lists the '
        "arguments",
    ),
    Mistake(
        "microscaling server -f apps.yml",
        "argument --file: has no meaning with server; microscaling --help lists the arguments",
    ),
)
FILES = (
    Mistake(
        "microscaling -f tasks.yml",
        "tasks.yml: cannot be read: No such file or directory",
        about="there is only apps.yml",
    ),
    Mistake(
        "microscaling -f etc", "etc: cannot be read: Is a directory", files={"etc/": ""}, about="a folder"
    ),
    Mistake(
        AGENT,
        "apps.yml: is empty: it holds no configuration",
        files={"apps.yml": "# soon\n"},
        about="an empty file",
    ),
    Mistake(
        AGENT,
        "apps.yml: not YAML: line 3, column 1: a tab: indent with spaces",
        files={"apps.yml": "maxContainers: 4\napps:\n\t- name: mailer\n"},
        about="a tab in line 3",
    ),
    Mistake(
        AGENT,
        "apps.yml: not YAML: line 5, column 4: this line is indented in another way than those before it",
        swap=("    maxContainers", "   maxContainers"),
        about="line 5 begins with three spaces, not four",
    ),
    Mistake(
        AGENT,
        "apps.yml: apps[0].image: is at the wrong place: write it as apps[0].config.image",
        swap=("      image", "    image"),
        files={
            "apps.yml": APPS.replace(
                "    config:\n      image: example/mailer:1\n", "    image: a\n    config:\n"
            )
        },
        about="`image` beside `config`, not inside",
    ),
    Mistake(
        AGENT,
        "apps.yml: apps[0].prioritty: is not known; did you mean priority?",
        swap=("    priority: 1", "    prioritty: 1"),
    ),
    Mistake(
        "microscaling -f apps.json",
        f"apps.json: not JSON: line 1, column {ANY}: a comma before ]: remove it",
        files={"apps.json": '{"maxContainers": 4, "apps": [{"name": "a", "maxContainers": 4},]}'},
        about="`},]` at its end",
    ),
    Mistake(
        "microscaling -f apps.json",
        "apps.json: does not begin like JSON, and only .yml and .yaml are read as YAML: rename it",
        files={"apps.json": APPS},
        about="YAML in it",
    ),
    Mistake(
        "microscaling -f compose.yml",
        "compose.yml: is a Compose file (it has services): a configuration has maxContainers and apps",
        files={"compose.yml": "services:\n  web:\n    image: nginx\n"},
        about="a Compose file",
    ),
    Mistake(
        AGENT,
        "apps.yml: apps: expected a list, whose entries begin with -, got an object",
        files={"apps.yml": "maxContainers: 4\napps:\n  mailer:\n    maxContainers: 4\n"},
        about="`mailer:` in place of `- name: mailer`",
    ),
)
TASKS = (
    Mistake(
        AGENT,
        "apps.yml: apps: is empty or missing: there is nothing to scale",
        files={"apps.yml": "maxContainers: 4\n"},
        about="only `maxContainers: 4` in it",
    ),
    Mistake(
        AGENT,
        "apps.yml: maxContainers: is missing: without it no container will run",
        swap=("maxContainers: 4\n", ""),
        about="without `maxContainers`, the cap, in line 1",
    ),
    Mistake(
        AGENT,
        "apps.yml: apps[0].minContainers: is 6, above maxContainers, which is 4: raise one or lower the other",
        swap=("    priority: 1", "    priority: 1\n    minContainers: 6"),
        about="`minContainers: 6` too",
    ),
    Mistake(
        AGENT,
        'apps.yml: apps[1].name: "mailer" is the name of apps[0] too: change one',
        files={"apps.yml": f"{APPS}  - name: mailer\n    maxContainers: 1\n    config: {{image: a}}\n"},
        about="two tasks `mailer`",
    ),
    Mistake(
        AGENT,
        f'apps.yml: apps[0].ruleType: expected {RULE_TYPES}, got "Queues"; did you mean Queue?',
        swap=("ruleType: Queue", "ruleType: Queues"),
    ),
    Mistake(
        AGENT,
        f'apps.yml: apps[0].metricType: expected {METRIC_TYPES}, got "Reddis"; did you mean Redis?',
        swap=("metricType: Redis", "metricType: Reddis"),
    ),
    Mistake(
        AGENT,
        f"apps.yml: apps[0].metricType: is missing: expected {METRIC_TYPES}",
        swap=("    metricType: Redis\n", ""),
    ),
    Mistake(
        AGENT,
        "apps.yml: apps[0].config.targetQueueLength: is missing: without it this task asks for more as long as "
        "there is an item",
        swap=("      targetQueueLength: 50\n", ""),
    ),
    Mistake(
        AGENT,
        "apps.yml: apps[0].config.url: is missing: metricType Redis needs it",
        swap=("      url: redis://127.0.0.1:1/0\n", ""),
    ),
    Mistake(
        AGENT,
        "apps.yml: apps[0].config.url: the variable REDIS_PASSWORD, which it refers to, is not set",
        swap=("redis://127.0.0.1:1/0", "redis://:${REDIS_PASSWORD}@127.0.0.1:1/0"),
    ),
    Mistake(
        AGENT,
        "mailer: has no image; MSS_SCHEDULER=DOCKER runs config.image",
        swap=("      image: example/mailer:1\n", ""),
    ),
    Mistake(
        AGENT,
        "metricType Redis needs redis: pip install '.[redis]' in the clone",
        about="without the package redis",
        needs="no redis",
    ),
)
EXTRAS = (
    Mistake(
        AGENT,
        "apps.yml: YAML needs an extra: pip install '.[yaml]' in the clone, or write JSON",
        about="without the package yaml",
        needs="no yaml",
    ),
    Mistake(
        "microscaling server",
        "the server needs an extra: pip install '.[server]' in the clone (uvicorn is missing)",
        about="without the package uvicorn",
        needs="no uvicorn",
    ),
)
QUEUES = (
    Mistake(
        TOY,
        "mailer held: Redis at redis://127.0.0.1:1/0: Error 111 connecting to 127.0.0.1:1. Connection refused.",
        None,
        about="no Redis at that port",
    ),
    Mistake(
        TOY,
        f'Redis at {ANY}: the key "jbos" has not existed since the start, but "jobs" exists: is that the right name?',
        None,
        swap=("key: jobs", "key: jbos"),
        about="`key: jbos` in place of `key: jobs`, a minute later",
        needs="redis",
    ),
)
ENGINES = (
    Mistake(
        AGENT,
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock "
        "(the default, as DOCKER_HOST and DOCKER_CONTEXT are not set): this user, nobody, may not use it (owner "
        "root, group docker, mode 660): sudo usermod -aG docker nobody, then log in again",
        about="the user nobody, who is not in the group docker",
        needs="nobody",
    ),
    Mistake(
        f"DOCKER_HOST=unix:///run/no.sock {AGENT}",
        "waiting: cannot connect to the Docker daemon at unix:///run/no.sock (from DOCKER_HOST): there is no such "
        f"socket; is the docker daemon running? Start it, or choose {ANY}",
        None,
    ),
    Mistake(
        f"DOCKER_HOST=tcp://127.0.0.1:1 {AGENT}",
        "waiting: cannot connect to the Docker daemon at tcp://127.0.0.1:1 (from DOCKER_HOST): connection refused; "
        "is the docker daemon running? Does it listen there? DOCKER_HOST chooses another",
        None,
    ),
    Mistake(
        f"DOCKER_HOST=/var/run/docker.sock {AGENT}",
        'DOCKER_HOST: expected unix:///path/of/a/socket or tcp://host:port, got "/var/run/docker.sock"; write '
        "unix:///var/run/docker.sock",
    ),
    Mistake(
        f"DOCKER_CONTEXT=prod {AGENT}",
        f'DOCKER_CONTEXT: the context "prod" does not exist in {ANY}; there is: none',
    ),
    Mistake(
        f"DOCKER_HOST=tcp://127.0.0.1:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=certs {AGENT}",
        "DOCKER_CERT_PATH: there is no ca.pem in certs",
    ),
)
OTHERS = (
    Mistake(
        PROCESS,
        "mailer: has no command; MSS_SCHEDULER=PROCESS runs config.command, and an image is no use to it",
        about="only an image in it",
    ),
    Mistake(
        PROCESS,
        "mailer: the command 'wroker' is not there",
        None,
        swap=("image: example/mailer:1", "command: wroker"),
    ),
    Mistake(
        f"MSS_STATE_DIR=/proc/state {PROCESS}",
        "stopped with exit code 2: MSS_STATE_DIR: cannot use /proc/state: No such file or directory",
        swap=("image: example/mailer:1", "command: sleep 60"),
    ),
    Mistake(
        f"MSS_STATE_DIR=state {PROCESS}",
        f"stopped with exit code 1: another agent (process {ANY}) already runs local processes from {ANY}/state; stop it, "
        "or give this one a folder of its own with MSS_STATE_DIR",
        1,
        swap=("image: example/mailer:1", "command: sleep 60"),
        about="a second time, while the first agent runs",
        needs="another agent",
    ),
    Mistake(
        "MSS_SERVER_ADDRESS=0.0.0.0:8000 microscaling server",
        "MSS_SERVER_ADDRESS: 0.0.0.0 can be reached by others, and there is no token: set MSS_SERVER_TOKEN, or "
        "MSS_SERVER_OPEN=true to allow everything to all that can reach it",
    ),
    Mistake(
        "MSS_SERVER_ADDRESS=8000 microscaling server", 'MSS_SERVER_ADDRESS: expected host:port, got "8000"'
    ),
    Mistake(
        "MSS_SERVER_ADDRESS=127.0.0.1:{port} microscaling server",
        'MSS_SERVER_ADDRESS: cannot listen at "127.0.0.1:{port}": another process listens there (a second server?): '
        "end it, or choose another port",
        needs="port",
    ),
    Mistake(
        "MSS_SERVER_ADDRESS=127.0.0.1:0 MSS_SERVER_STORE=/proc/state/db microscaling server",
        "MSS_SERVER_STORE: /proc/state/db cannot be used: No such file or directory",
    ),
)
GROUPS: Mapping[str, tuple[Mistake, ...]] = {
    "Variables": VARIABLES,
    "Arguments": ARGUMENTS,
    "Files": FILES,
    "Tasks": TASKS,
    "Packages": EXTRAS,
    "Queues": QUEUES,
    "Engines": ENGINES,
    "Processes and the server": OTHERS,
}


def mistakes() -> Iterator[Mistake]:
    """Yields all of them."""
    for group in GROUPS.values():
        yield from group


def rows(group: tuple[Mistake, ...]) -> Iterator[tuple[str, str, str]]:
    """Yields the rows of the table: typed, said, exit code."""
    for mistake in group:
        code = "goes on" if mistake.code is None else str(mistake.code)
        said = mistake.said.replace("|", "\\|").replace("{port}", "8000")
        yield mistake.shown.replace("|", "\\|").replace("{port}", "8000"), f"`{said}`", code
