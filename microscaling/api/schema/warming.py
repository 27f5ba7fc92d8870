"""Reads the keys for containers that are started ahead, and told go when they are needed."""

from __future__ import annotations

import posixpath

from microscaling.api.schema.busy import below, hidden_by
from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section, shown
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm

MAX_WARM = 100_000
HEALTHY = "healthy"
STOP, CONT = "STOP", "CONT"
SIGNALS = (CONT, "URG", "WINCH")
"""Signals that do nothing to a program without a handler: one may be told twice."""
FILE = {"type": "string", "pattern": "^/"}
STOPS = {"type": "string", "enum": [STOP]}
WARM = Key(
    "warm",
    "Warm",
    kind="whole",
    default=0,
    least=0,
    most=MAX_WARM,
    meaning="so many containers more are started, ready, and frozen until they are needed; docs/warm.md",
)
AFTER = Key(
    "warmAfter",
    "Ready by",
    kind="shape",
    default_in_words="none",
    meaning="with `warm`: how a container shows that it has loaded, and waits: `{file: /tmp/ready}`, "
    "`{signal: STOP}` (it stops itself), or `healthy`",
    shape={
        "oneOf": [
            {"enum": [HEALTHY]},
            {
                "type": "object",
                "properties": {"file": FILE},
                "required": ["file"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"signal": STOPS},
                "required": ["signal"],
                "additionalProperties": False,
            },
        ],
        "properties": {"file": FILE, "signal": STOPS},
    },
)
GO = Key(
    "go",
    "Go by",
    kind="shape",
    default_in_words="none",
    meaning="with `warm`: what tells a container that is ready to begin: `{file: /tmp/go}`, which appears in "
    "it, or `{signal: CONT}`",
    shape={
        "type": "object",
        "properties": {"signal": {"type": "string", "enum": [*SIGNALS]}, "file": FILE},
        "oneOf": [{"required": ["signal"]}, {"required": ["file"]}],
        "additionalProperties": False,
    },
)
KEYS = (WARM, AFTER, GO)
"""Keys of `config` for warm containers."""
UNSEEN = "is below {}, which an engine does not show: use a path on the container's own disk"
SHARED = "is below {}, which all its containers share, so it would be that of all: use one on their own disks"


def read_warm(config: Section, task: Task) -> Warm | None:
    """Reads these keys of a task, all others of which are read; None without them."""
    before = len(config.notes.problems)
    count = config.whole(WARM.key, least=0, most=MAX_WARM)
    after, stops = _after(config, task)
    signal, file = _go_of_stopped(config) if stops else _go(config, task)
    if config.take(WARM.key) is None:
        for key in (AFTER, GO):
            if config.take(key.key) is not None:
                config.notes.problem(
                    config.at(key.key), f"means nothing without {WARM.key}, such as {WARM.key}: 2"
                )
        return None
    if len(config.notes.problems) > before:
        return None  # a default in their place may cause another problem
    has_after, has_go = (config.take(key.key) is not None for key in (AFTER, GO))
    if not has_after:
        if count or has_go:
            config.notes.problem(
                config.at(WARM.key),
                f"needs {AFTER.key}, {{file: /tmp/ready}}, {{signal: {STOP}}} or {HEALTHY}: a container "
                "is frozen only once it has loaded; docs/warm.md",
            )
        return None
    if not (has_go or stops):
        _check_without_go(config, task, after)
    if after and after == file:
        config.notes.problem(config.at(f"{GO.key}.file"), f"is the file of {AFTER.key}: give another one")
    ports, needed = task.container.ports_for, task.max_containers + count
    if task.max_containers <= ports < needed:
        config.notes.warn(
            config.at(WARM.key),
            f"a frozen container keeps its port of the host: for maxContainers and {WARM.key} together ports "
            f"needs a range of {needed}, and has {ports}",
        )
    return Warm(count, after, signal, file, stops)


def _check_without_go(config: Section, task: Task, after: str) -> None:
    """Notes a problem with a task whose containers are told nothing, and would take jobs from their start."""
    if after:
        config.notes.problem(
            config.at(AFTER.key),
            f"a program that writes a file and goes on could be frozen with a job: add {GO.key}, "
            "{file: /tmp/go} or {signal: CONT}, for which it waits; docs/warm.md",
        )
    elif task.target.measures and not task.metric.of_containers and task.web is None:
        config.notes.problem(
            config.at(AFTER.key),
            f"a frozen worker still gets the next job of its queue: add {GO.key}, {{file: /tmp/go}} or "
            "{signal: CONT}, for which it waits before it asks for one; docs/warm.md",
        )


def _after(config: Section, task: Task) -> tuple[str, bool]:
    """Returns the file by which a container is ready, and whether it stops itself; "" and False for
    `healthy`, or if it is wrong."""
    given = config.take(AFTER.key)
    if given is None or given == HEALTHY:
        return "", False
    if not isinstance(given, dict):
        config.wrong(AFTER.key, f"{{file: /tmp/ready}}, {{signal: {STOP}}} or {HEALTHY}", given)
        return "", False
    inner = config.section(AFTER.key)
    has_signal, has_file = (inner.take(key) is not None for key in ("signal", "file"))
    inner.no_others("signal", "file")
    if not has_signal:
        return _file(inner, task), False
    if has_file:
        inner.notes.problem(inner.place, "has signal and file: leave one out")
    elif not isinstance(name := inner.take("signal"), str) or _name(name) != STOP:
        inner.wrong("signal", f"{STOP}, by which a program stops itself", name)
    else:
        return "", True
    return "", False


def _go_of_stopped(config: Section) -> tuple[str, str]:
    """Returns the signal and the file of `go`, of a program that stops itself."""
    given = config.take(GO.key)
    inner = config.section(GO.key) if isinstance(given, dict) else None
    name = inner.take("signal") if inner is not None and inner.take("file") is None else None
    if not isinstance(name, str) or _name(name) != CONT:
        config.notes.problem(
            config.at(GO.key),
            f"a program that has stopped itself goes on by {{signal: {CONT}}} alone: give that",
        )
    elif inner is not None:
        inner.no_others("signal")
    return CONT, ""


def _name(signal: str) -> str:
    return signal.strip().upper().removeprefix("SIG")


def _go(config: Section, task: Task) -> tuple[str, str]:
    """Returns the signal and the file of `go`."""
    given = config.take(GO.key)
    if given is None:
        return "", ""
    if not isinstance(given, dict):
        config.wrong(GO.key, "{file: /tmp/go} or {signal: CONT}", given)
        return "", ""
    inner = config.section(GO.key)
    has_signal, has_file = (inner.take(key) is not None for key in ("signal", "file"))
    inner.no_others("signal", "file")
    if has_signal == has_file:
        both = "has signal and file: leave one out" if has_signal else "expected signal or file in it"
        inner.notes.problem(inner.place, both)
        return "", ""
    if has_file:
        return "", _file(inner, task)
    given = inner.take("signal")
    name = _name(given) if isinstance(given, str) else ""
    if name not in SIGNALS:
        inner.notes.problem(
            inner.at("signal"),
            f"expected one of {', '.join(SIGNALS)}, which do nothing to a program without a handler, as it "
            f"may come twice, got {shown(given)}",
        )
        return "", ""
    return name, ""


def _file(section: Section, task: Task) -> str:
    path = section.text("file")
    if not path.startswith("/") or path.endswith("/") or posixpath.normpath(path) != path:
        section.notes.problem(
            section.at("file"), f"expected the absolute path of a file in the container, got {shown(path)}"
        )
    elif hidden := hidden_by(path, task.container):
        section.notes.problem(section.at("file"), UNSEEN.format(hidden))
    elif task.container.request.get("HostConfig.ReadonlyRootfs"):
        other = f"{GO.key}: {{signal: CONT}}" if section.place.endswith(GO.key) else f"{AFTER.key}: {HEALTHY}"
        section.notes.problem(section.at("file"), f"the disk of its containers is read-only: use {other}")
    elif shared := below(path, [mount.target for mount in task.container.mounts]):
        section.notes.problem(section.at("file"), SHARED.format(shared))
    return path
