"""What `status` and `explain` say of states that few agents are ever in."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest

from microscaling.control import command, views
from microscaling.control.client import AgentError
from microscaling.demand.shown import Failure
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.occupied import NOT_STOPPING, Occupied
from microscaling.simulate.simulation import World
from microscaling.target.wait import WaitTarget
from microscaling.utils.text import in_bytes
from tests.control.test_commands import strict
from tests.engine.driven import Driven, queue_task
from tests.pages import DOCS
from tests.simulate.loads import alone, step

SCHEMA = strict(json.loads((DOCS / "commands.schema.json").read_text()))


def told(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """The answer of an agent, as the schema has it, and the lines for a person."""
    answer = json.loads(json.dumps(views.status(tasks, "DOCKER")))
    jsonschema.Draft202012Validator(SCHEMA).validate(answer)
    monkeypatch.setattr(command, "agents", lambda environ, silent=None: [("/a", answer)])
    lines: list[str] = []
    assert command.status({}, lines.append) == 0
    return answer, lines


def test_places_that_no_task_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks([Task("a", demand=3, requested=3, running=3, max_containers=8)], 8)
    answer, lines = told(tasks, monkeypatch)
    assert (answer["free"], answer["taken"], answer["takenBy"]) == (5, 0, "")
    assert lines[0].endswith(": 3 of 8 containers in use, 5 free\n")
    Occupied(tasks).note(NOT_STOPPING, "b", 2)
    answer, lines = told(tasks, monkeypatch)
    assert (answer["free"], answer["taken"]) == (3, 2)
    assert lines[0].endswith(": 3 of 8 containers in use, 3 free; 2 taken by 2 of b not stopping\n")
    tasks.outside, tasks.orphans = 1, 'containers of no task: 1 of "old"'
    answer, lines = told(tasks, monkeypatch)
    assert (answer["free"], answer["taken"]) == (2, 3)
    assert lines[0].endswith('; 3 taken by 2 of b not stopping and containers of no task: 1 of "old"\n')


def test_a_service_that_is_left_alone_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks([Task("web", max_containers=8)], 8)
    tasks.left_alone = {"mail": 'microscaling.max: expected a whole number, got "many"'}
    answer, lines = told(tasks, monkeypatch)
    assert [each["name"] for each in answer["leftAlone"]] == ["mail"]
    line = 'mail is left alone: microscaling.max: expected a whole number, got "many"'
    assert lines[-1] == f"{line}\n"
    with pytest.raises(AgentError) as refused:
        command.explain({}, "mail", lines.append)
    assert str(refused.value) == line
    del answer["leftAlone"]  # as of an agent of an earlier version
    with pytest.raises(AgentError, match='no agent has a task "mail"; there are web'):
        command.explain({}, "mail", lines.append)


def test_a_failure_is_explained_with_its_output_and_the_next_try() -> None:
    tasks = Tasks([Task("a", max_containers=8, backing_off=True)], 8)
    now = time.monotonic()
    why = "container 3df2 exited with code 1"
    tasks.tasks[0].failure = Failure(why, now - 3, 1, "no\nentry\x1b[1m", now + 5)
    answer = json.loads(json.dumps(views.explain(tasks, "a")))
    jsonschema.Draft202012Validator(SCHEMA).validate(answer)
    assert (answer["failing"]["exitCode"], answer["failing"]["lines"]) == (1, "no\nentry\x1b[1m")
    answer["failing"] |= {"seconds": 3, "retrySeconds": 5}
    lines = [*command._explained(answer, "container")]
    first = lines.index("  failed   container 3df2 exited with code 1, 3 s ago; next try in 5 s")
    assert lines[first + 1 : first + 3] == ["           | no", "           | entry\\x1b[1m"]
    tasks.tasks[0].failure = Failure("its image is missing", now - 3)
    answer = json.loads(json.dumps(views.explain(tasks, "a")))
    jsonschema.Draft202012Validator(SCHEMA).validate(answer)
    assert "\n  failed   its image is missing, " in "\n".join(command._explained(answer, "container"))
    del answer["failing"]  # as of an agent of an earlier version
    assert "failed" not in "\n".join(command._explained(answer, "container"))


def test_frozen_ones_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Driven(queue_task("a", 2))
    run.for_s(1, a=60)
    run.tasks.tasks[0].frozen, run.tasks.tasks[0].warm_bytes = 3, 5_000_000
    answer = views.explain(run.tasks, "a")
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(answer)))
    assert answer is not None
    line = f"beside those that run; {in_bytes(5_000_000)} in warm ones"
    assert f"  frozen   3, {line}" in [*command._explained(answer, "container")]
    assert f"a: 3 frozen, {line}\n" in told(run.tasks, monkeypatch)[1]


def test_those_that_wait_for_go_are_no_workers_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Driven(queue_task("a", 2))
    run.for_s(1, a=60)
    a = run.tasks.tasks[0]
    a.loading = a.running
    answer, lines = told(run.tasks, monkeypatch)
    assert (answer["tasks"][0]["state"], answer["tasks"][0]["loading"]) == ("starting", a.running)
    said = f"{a.running} of those that run are not ready, and wait for go (warmAfter)"
    assert f"a: {said}\n" in lines
    explained = json.loads(json.dumps(views.explain(run.tasks, "a")))
    assert f"  loading  {said}" in [*command._explained(explained, "container")]


def test_what_a_rule_has_learned_is_in_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    run = alone(WaitTarget(5), step(), World(300))
    answer, _ = told(run.tasks, monkeypatch)
    assert answer["tasks"][0]["learned"]["promiseSeconds"] == 5
    answer["tasks"][0]["learned"]["other"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(answer)
    early = alone(WaitTarget(5), step(), World(1))
    told(early.tasks, monkeypatch)


def test_what_it_waits_for_is_a_sentence() -> None:
    a = Task("a", demand=1, requested=1, parked=1, max_containers=8)
    tasks = Tasks([a, Task("b", running=8, stopping=1, draining=1, max_containers=8)], 8)
    answer = json.loads(json.dumps(views.explain(tasks, "a")))
    assert "  waits    it waits for 1 that drains, at most 0 s" in [*command._explained(answer, "container")]


@pytest.mark.parametrize(("noun", "nouns"), [("container", "containers"), ("process", "processes")])
def test_a_state_is_explained_in_the_word_for_what_runs(noun: str, nouns: str) -> None:
    tasks = Tasks([Task("a", max_containers=8, backing_off=True)], 8, noun)
    answer = json.loads(json.dumps(views.explain(tasks, "a")))
    first, *_ = command._explained(answer, noun)
    assert first == f"a: backoff: its {nouns} keep failing, so the next try waits"
