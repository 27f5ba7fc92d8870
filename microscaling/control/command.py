"""The commands that ask running agents, and tell them what a person wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from microscaling.control.client import AgentError, agents, ask
from microscaling.target.told import per_time
from microscaling.utils.text import few, in_bytes, nearest, one_line, quoted, span

Write = Callable[[str], object]
HEAD = ("TASK", "PRIORITY", "RUNNING", "WANTED", "MIN-MAX", "READING", "TARGET", "STATE", "SINCE")
NONE_RUNS = "no agent of this user runs here; one in a container: docker exec CONTAINER microscaling status"
BOLD = 1
COLOURS = {
    **dict.fromkeys(("held", "backoff"), 31),
    **dict.fromkeys(("fallback", "short", "maximum"), 33),
    **dict.fromkeys(("paused", "pinned", "resting"), 36),
}
"""Of the rows on a terminal: red where something is wrong, yellow where something lacks, cyan for a person's
will."""
STATES = {
    "ok": "it has what it needs",
    "maximum": "it has the most that it may have, and needs more",
    "short": "it needs more containers than it has",
    "waiting": "it waits for the places of containers that drain",
    "starting": "containers are being started",
    "draining": "containers are to go, and are at a job for the last time",
    "stopping": "containers are being stopped",
    "held": "its source gives no reading, so it stays as it is",
    "fallback": "its source gives no reading, so its fallback is in force",
    "backoff": "its containers keep failing, so the next try waits",
    "paused": "no reading moves it, by the will of a person",
    "pinned": "it has a fixed number of containers, by the will of a person",
    "resting": "it has no containers, by another will than the agent's",
}


def _unheard(line: str) -> None:
    """Drops a line that a caller does not want."""


def status(
    environ: Mapping[str, str],
    write: Write,
    as_json: bool = False,
    coloured: bool = False,
    write_error: Write = _unheard,
) -> int:
    """Writes the state of all agents of this user. Returns the exit code: 1 if there is none."""
    silent: list[str] = []
    for _, told in _found(environ, silent):
        if as_json:
            write(json.dumps(told) + "\n")
            continue
        write(f"{_summary(told)}\n")
        rows = [HEAD, *(_row(task) for task in told["tasks"])]
        colours = [BOLD, *(COLOURS.get(task["state"], 0) for task in told["tasks"])]
        for line, colour in zip(columns(rows), colours, strict=True):
            write(f"\x1b[{colour}m{line}\x1b[0m\n" if coloured and colour else f"{line}\n")
        for task in told["tasks"]:
            # Both are missing in the answer of an agent of an earlier version.
            if task.get("waits"):
                write(f"{one_line(task['name'])} {task['waits']}\n")
            if task.get("loading"):
                write(f"{one_line(task['name'])}: {_loading(task)}\n")
            if task.get("frozen"):
                write(f"{one_line(task['name'])}: {task['frozen']} frozen, {_beside(task)}\n")
            if task.get("rolling"):
                write(f"{one_line(task['name'])}: {one_line(task['rolling'])}\n")
            if schedule := task.get("schedule"):
                write(f"{one_line(task['name'])}: {one_line(_windows(schedule))}\n")
            for warning in task.get("warnings", ()):
                write(f"{one_line(task['name'])}: {one_line(warning)}\n")
        for line in _left_alone(told).values():
            write(f"{line}\n")
    for line in silent:
        write_error(f"microscaling: {line}\n")
    return 0


def explain(
    environ: Mapping[str, str],
    name: str,
    write: Write,
    as_json: bool = False,
    write_error: Write = _unheard,
) -> int:
    """Writes all that the agents know of one task. Returns the exit code: 1 if no agent has it."""
    refused: list[str] = []
    done = 0
    # Agents of different engines may have tasks of the same name: each answers for its own.
    for told, answer in _answers(_having(environ, name, write_error), "GET /explain", refused, task=name):
        for line in [json.dumps(answer)] if as_json else _explained(answer, told["noun"]):
            write(f"{line}\n")
        done += 1
    for line in refused:
        write_error(f"microscaling: {line}\n")
    return 0 if done else 1


def order(
    environ: Mapping[str, str],
    command: str,
    words: Sequence[str],
    seconds: float | None,
    write: Write,
    down: bool = False,
    write_error: Write = _unheard,
) -> int:
    """Has agents carry out `pause`, `resume` or `pin`; `words`: the task, if there is one, and the number of
    containers; `down`: a pause is one without containers. Without a task it goes to all agents of this user,
    and one that refuses keeps no other from it. Returns the exit code: 1 if one refuses, but 0 for a `resume`
    that found something to resume."""
    silent: list[str] = []
    resumes = command == "resume"
    # To resume also a task that was paused, and is no more: it would be so again when it comes back.
    found = _having(environ, words[0], write_error, or_all=resumes) if words else _found(environ, silent)
    query = {"task": words[0]} if words else {}
    query |= {"containers": words[1]} if len(words) > 1 else {}
    query |= {"seconds": str(seconds)} if seconds else {}
    query |= {"down": "true"} if down else {}
    refused: list[str] = []
    done = 0
    for _, answer in _answers(found, f"POST /{command}", refused, **query):
        write(f"{answer['said']}\n")
        done += 1
    if resumes and words and not done and not any(words[0] in _names(told) for _, told in found):
        raise AgentError(_unknown(words[0], found))
    if done and resumes:
        refused = []  # by agents that have nothing to resume
    for line in (*silent, *refused):
        write_error(f"microscaling: {line}\n")
    return 1 if silent or refused else 0


def reload(environ: Mapping[str, str], yes: bool, write: Write, write_error: Write) -> int:
    """Has all agents of this user read their configurations again; `yes`: tasks may go. Returns the exit
    code: 1 if one of them refuses."""
    silent: list[str] = []
    found = _found(environ, silent)
    refused = bool(silent)
    for line in silent:
        write_error(f"microscaling: {line}\n")
    for path, told in found:
        try:
            answer = ask(path, "POST /reload", yes="1" if yes else "0")
        except ProcessLookupError:
            continue  # it has ended meanwhile
        except (AgentError, LookupError) as error:  # one of an earlier version, which has no reload
            answer = {"said": "", "problems": [str(error)]}
        if answer["said"]:
            write(f"process {told['pid']}: {one_line(answer['said'])}\n")
        for problem in answer["problems"]:
            write_error(f"microscaling: process {told['pid']}: {one_line(problem)}\n")
            refused = True
    return 1 if refused else 0


def _found(environ: Mapping[str, str], silent: list[str] | None = None) -> list[tuple[str, Any]]:
    """Returns the sockets of the agents of this user, each with the agent's status. Raises AgentError if
    none runs."""
    found = agents(environ, silent)
    if not found:
        raise AgentError(NONE_RUNS)
    return found


def _having(
    environ: Mapping[str, str], name: str, write_error: Write, or_all: bool = False
) -> list[tuple[str, Any]]:
    """Returns those that have this task; if none has, all of them with `or_all`. Writes which do not answer,
    as they may have it, too. Raises AgentError, with the name that is probably meant, if there is none."""
    silent: list[str] = []
    found = _found(environ, silent)
    having = [(path, told) for path, told in found if name in _names(told)]
    if not having and not or_all:
        raise AgentError("; ".join([_unknown(name, found), *silent]))
    for line in silent:
        write_error(f"microscaling: {line}\n")
    return having or found


def _unknown(name: str, found: Iterable[tuple[str, Any]]) -> str:
    """Describes that no agent has a task: why, or with the name that is probably meant."""
    found = list(found)
    for _, told in found:
        if line := _left_alone(told).get(name):
            return line
    names = [each for _, told in found for each in _names(told)]
    meant = nearest(name, names)
    known = few(sorted({*names}))
    hint = f"; did you mean {meant}?" if meant else f"; there are {known}" if names else ""
    return f"no agent has a task {quoted(name)}{hint}"


def _answers(
    found: Sequence[tuple[str, Any]], what: str, refused: list[str], **query: str
) -> Iterator[tuple[Any, Any]]:
    """Yields the status and the answer of each of these agents that has not ended meanwhile. Raises
    AgentError if all have; one that refuses is noted in `refused`."""
    none = True
    for path, told in found:
        try:
            answer = ask(path, what, **query)
        except ProcessLookupError:
            continue
        except (AgentError, LookupError) as error:
            none = False
            whose = f"process {told['pid']}: " if len(found) > 1 else ""
            refused.append(f"{whose}{one_line(str(error))}")
            continue
        none = False
        yield told, answer
    if none:
        raise AgentError(NONE_RUNS)


def _names(told: Mapping[str, Any]) -> list[str]:
    return [task["name"] for task in told["tasks"]]


def _left_alone(told: Mapping[str, Any]) -> dict[str, str]:
    """Returns a line for each service with a mistake in its labels, by name."""
    # Missing in the answer of an agent of an earlier version.
    return {
        each["name"]: f"{one_line(each['name'])} is left alone: {one_line(each['problem'])}"
        for each in told.get("leftAlone", ())
    }


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields the rows of a table, aligned; the last column has no width."""
    # Names come from configurations and labels: a line feed in one would imitate another row.
    rows = [tuple(one_line(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _summary(told: Mapping[str, Any]) -> str:
    used = sum(task["requested"] for task in told["tasks"])
    agent = f"microscaling {told['version']}, process {told['pid']}, {told['scheduler']}"
    line = f"{agent}: {used} of {told['cap']} {_plural(told['noun'])} in use, {told['free']} free"
    if told.get("takenBy"):  # missing in the answer of an agent of an earlier version
        line += f"; {told['taken']} taken by {one_line(told['takenBy'])}"
    return f"{line}; {told['hold']}" if told["hold"] else line


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("s") else "s")


def _row(task: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        task["name"],
        str(task["priority"]),
        str(task["running"]),
        str(task["wanted"]),
        f"{task['min']}-{task['max']}",
        _reading(task["reading"]),
        "-" if task["target"] is None else str(task["target"]),
        task["state"],
        (task["since"] or "-").replace("T", " ").rstrip("Z"),
    )


def _beside(task: Mapping[str, Any]) -> str:
    """Describes its frozen containers."""
    size = f"; {in_bytes(task['warmBytes'])} in warm ones" if task.get("warmBytes") else ""
    return f"beside those that run{size}"


def _loading(task: Mapping[str, Any]) -> str:
    """Describes the containers that wait for go."""
    one = task["loading"] == 1
    words = "is not ready, and waits for go" if one else "are not ready, and wait for go"
    return f"{task['loading']} of those that run {words} (warmAfter)"


def _windows(schedule: Mapping[str, Any]) -> str:
    return f"{schedule['open'] or 'no window is open'}; {schedule['next']}"


def _reading(reading: Mapping[str, Any] | None) -> str:
    if reading is None:
        return "-"
    more = [f"{reading[state]} {state}" for state in ("running", "stuck", "future") if reading[state]]
    more += ["paused"] * reading["paused"]
    return f"{reading['waiting']}" + (f" ({', '.join(more)})" if more else "")


def _rules(told: Mapping[str, Any]) -> Iterator[str]:
    """Yields the line for its rule, or one for each of several."""
    members = told.get("metrics", [])
    for each in members:
        reads = each["problem"] or f"reads {each['reading']}"
        wants = "" if each["wants"] is None else f", wants {each['wants']}"
        rule = f"{each['place']}  {each['rule']}{_target(each)} by {each['metric']}: {reads}{wants}"
        yield f"  rule     {rule}{': decides' if each['decides'] else ''}"
    if not members:
        yield f"  rule     {told['rule']}{_target(told)}"


def _failing(failing: Mapping[str, Any]) -> Iterator[str]:
    """Yields the last failure of its containers, and the time of the next try."""
    retry = f"; next try in {span(failing['retrySeconds'])}" if "retrySeconds" in failing else ""
    yield f"  failed   {one_line(failing['why'])}, {span(failing['seconds'])} ago{retry}"
    for line in failing.get("lines", "").splitlines():
        yield f"           | {one_line(line)}"


def _learned(told: Mapping[str, Any]) -> Iterator[str]:
    """Yields what a rule has learned, and its promise against what was measured."""
    if told["rate"] is not None:
        rates = f"{per_time(told['arrivals'])} come, one does {per_time(told['rate'])}"
        yield f"  learned  {rates}, {told['mayWait']} may wait"
    now = told["waitSeconds"]
    waits = "" if now is None else f"an item waits {'' if told['exact'] else 'about '}{_seconds(now)} now; "
    yield (
        f"  promise  {_seconds(told['promiseSeconds'])}; {waits}in the last 10 minutes at most "
        f"{_seconds(told['longestSeconds'])}, and no longer than promised in {told['kept']:.1%} of the time"
    )


def _seconds(duration: float) -> str:
    return f"{duration:.2g} s" if duration < 10 else span(duration)


def _target(told: Mapping[str, Any]) -> str:
    return "" if told["target"] is None else f", target {told['target']}"


def _explained(told: Mapping[str, Any], noun: str) -> Iterator[str]:
    """Yields the lines for one task: its containers, its reading, its rule and the readings that would change
    its containers, the obstacle, the cap, the last decisions."""
    nouns = _plural(noun)
    meaning = STATES.get(told["state"], "").replace("containers", nouns)
    yield f"{told['name']}: {told['state']}: {meaning}"
    limits = f"from {told['min']} to {told['max']}, priority {told['priority']}"
    yield f"  has      {told['running']} of {told['requested']} {nouns}; wants {told['wanted']} ({limits})"
    if told.get("loading"):
        yield f"  loading  {_loading(told)}"
    if told.get("frozen"):
        yield f"  frozen   {told['frozen']}, {_beside(told)}"
    if told.get("rolling"):
        yield f"  rolls    {told['rolling']}"
    if schedule := told.get("schedule"):
        yield f"  window   {_windows(schedule)}"
    if told["sources"]:
        age = "" if told["reading"] is None else f", {told['reading']['ageSeconds']:g} s ago"
        yield f"  reads    {_reading(told['reading'])} from {', '.join(told['sources'])}{age}"
    if told["problem"]:
        yield f"  problem  {told['problem']}"
    if failing := told.get("failing"):  # missing in the answer of an agent of an earlier version
        yield from _failing(failing)
    for warning in told.get("warnings", ()):
        yield f"  warning  {warning}"
    yield from _rules(told)
    for learned in [told.get("learned"), *(each.get("learned") for each in told.get("metrics", []))]:
        if learned:
            yield from _learned(learned)
    if band := told.get("band"):
        back = "at no reading" if band["back"] is None else f"at {band['back']} and below"
        yield f"  changes  it wants more at a reading of {band['more']} and above, and gives back {back}"
    if told["obstacle"]:
        yield f"  waits    {told['obstacle']}"
    shares = [f"{count} of {name}" for name, count in told["has"].items()]
    yield f"  cap      {told['cap']} {nouns}: {few(shares) or 'none in use'}"
    for decision in told["decisions"]:
        when = decision["at"].replace("T", " ").rstrip("Z")
        yield f"  {when}  {decision['before']} -> {decision['after']} ({decision['reason']})"
