"""Checks the names of environment variables: unknown ones, and those without a use in the chosen mode."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping

from microscaling.errors import ConfigError
from microscaling.settings import Settings, files, variables
from microscaling.utils.text import nearest, short

log = logging.getLogger("mssagent")

PREFIX = "MSS_"
OF_THE_IMAGE = ("MSS_DROP_TO", "MSS_IMAGE_ENV")
"""Variables that the Dockerfile sets."""
OF_TESTS = "MSS_TEST_"
SERVICE_LINKS = re.compile(r"MSS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_\w+)")
"""Variables that Kubernetes sets for every service of a namespace, if one is called mss or mss-server."""
DECISIVE = (
    "MSS_DRY_RUN",
    "MSS_SCHEDULER",
    "MSS_CONFIG",
    "MSS_ON_EXIT",
    "MSS_ORPHANS",
    "MSS_MAX_CONTAINERS",
)
"""Variables that decide whether and where containers are touched."""
# With a typo in one of them the agent would touch containers that it must not touch, so that is an error.
SCALE_ONLY = ("KUBERNETES", "MARATHON", "SWARM", "TOY")
"""The schedulers that create no containers."""
OTHERS = {
    one: {*group} - {one}
    for group in (
        ("COMPOSE", "DOCKER", "PROCESS", *SCALE_ONLY),
        ("ENVVAR", "FILE", "HARDCODED", "LABEL", "SERVER", "SERVICES"),
    )
    for one in group
}
"""Maps a scheduler, or a source of configurations, to the other ones of ours, which ignore its variables."""
# A plugin of another package may read any of these variables.
MAX_TYPOS = 2


def check_names(environ: Mapping[str, str], of_plugins: Callable[[], Iterable[str]] = tuple) -> None:
    """Warns of every MSS_ variable that is not known, with the most similar one that is.

    `of_plugins`: the names that plugins read, asked for only if there is an unknown one. Raises ConfigError
    for a name that differs in at most two characters, apart from `_`, from a variable that decides whether
    and where containers are touched.
    """
    known = {*variables(), *files(), *OF_THE_IMAGE}
    unknown = {name for name in environ if _is_ours(name)} - known
    # Only as many as needed: every one imports a plugin.
    names = iter(of_plugins() if unknown else ())
    while not unknown <= known and (name := next(names, None)) is not None:
        known.add(name)
    problems: list[str] = []
    for name in sorted(unknown - known):
        meant = _decisive(name)
        if meant:
            problems.append(f"{short(name)}: is not known; did you mean {meant}?")
        else:
            other = nearest(name, known)
            hint = f"; did you mean {other}?" if other else ""
            log.warning("%s: is not known, and ignored%s", short(name), hint)
    if problems:
        raise ConfigError(*problems)


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(OF_TESTS) and not SERVICE_LINKS.fullmatch(name)


def _decisive(name: str) -> str:
    """Returns the decisive variable that an unknown name most likely means; "" if none is close enough."""
    distance, meant = min((_edits(_bare(name), _bare(other)), other) for other in DECISIVE)
    return meant if distance <= MAX_TYPOS else ""


def _bare(name: str) -> str:
    return name.removeprefix(PREFIX).replace("_", "").casefold()


def _edits(one: str, other: str) -> int:
    """Returns the Levenshtein distance: the number of characters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


NOTIFY = ("MSS_NOTIFY_EVENTS", "MSS_NOTIFY_TOKEN", "MSS_NOTIFY_TEMPLATE")


def ignored(settings: Settings, environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Maps the setting that makes others useless, as NAME=value, to those of them that are set."""
    s = settings
    monitors = "SERVER" in s.monitor and s.send_metrics_to_api
    talks = monitors or s.config in ("SERVER", "LABEL") or s.demand_engine == "SERVER"
    by_config, by_scheduler = f"MSS_CONFIG={s.config}", f"MSS_SCHEDULER={s.scheduler}"
    rules: list[tuple[bool, str, tuple[str, ...]]] = [
        (s.config in OTHERS["FILE"], by_config, ("MSS_CONFIG_FILE",)),
        (s.config in OTHERS["ENVVAR"], by_config, ("MSS_CONFIG_DATA",)),
        (s.config in OTHERS["SERVICES"], by_config, ("MSS_COMPOSE_PROJECT", "MSS_LABEL_VARIABLES")),
        (s.scheduler in OTHERS["KUBERNETES"], by_scheduler, ("MSS_KUBE_CONFIG", "MSS_KUBE_NAMESPACE")),
        (s.scheduler in OTHERS["MARATHON"], by_scheduler, ("MSS_MARATHON_API", "MSS_MARATHON_TOKEN")),
        (s.scheduler in OTHERS["DOCKER"], by_scheduler, ("MSS_PULL_IMAGES",)),
        (s.scheduler in SCALE_ONLY, by_scheduler, ("MSS_ORPHANS", "MSS_PASS_ENV", "MSS_WARM_MEMORY")),
        (s.scheduler == "COMPOSE", by_scheduler, ("MSS_ORPHANS", "MSS_PASS_ENV")),
        (s.scheduler in ("MARATHON", "TOY"), by_scheduler, ("MSS_LEASE",)),
        (s.scheduler == "SWARM" and s.config == "SERVICES", by_scheduler, ("MSS_COMPOSE_PROJECT",)),
        (not talks, "no server to talk to", ("MSS_API_ADDRESS", "MSS_API_TOKEN")),
        (not (talks or s.notify_url), "no server to talk to", ("MSS_USER_ID",)),
        (not s.notify_url, "no MSS_NOTIFY_URL", NOTIFY),
    ]
    found: dict[str, list[str]] = {}
    for holds, why, names in rules:
        there = [name for name in names if environ.get(name) or environ.get(f"{name}_FILE")]
        if holds and there:
            found.setdefault(why, []).extend(there)
    return found


def report_ignored(settings: Settings, environ: Mapping[str, str]) -> None:
    """Logs one line for each setting that makes others useless."""
    for why, names in ignored(settings, environ).items():
        log.info("with %s, %s %s ignored", why, " and ".join(names), "is" if len(names) == 1 else "are")
