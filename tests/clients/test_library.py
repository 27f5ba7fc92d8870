"""What an agent that asks an engine or a server has not loaded: memory that each host would pay for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.metric.faulty import Server, answers

DETECTORS = {"chardet", "charset_normalizer"}
UNUSED = {"microscaling.target.wait", "microscaling.target.belief", "uuid"} | DETECTORS
"""Neither a rule that no task has, nor what takes more than it does."""


def run(code: str, *arguments: str) -> Any:
    """Runs code in a process of its own, in which a warning is an error; returns what it prints as JSON."""
    command = [sys.executable, "-W", "error", "-c", f"import json, sys; {code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded(code: str, *arguments: str) -> set[str]:
    return set(run(f"{code}; print(json.dumps([*sys.modules]))", *arguments))


def test_an_agent_for_an_engine_has_no_more_than_it_needs() -> None:
    started = (
        "import microscaling.__main__; from microscaling.settings import Settings; "
        "from microscaling.scheduler.docker.plugin import prepare, make; "
        "environ = {'DOCKER_HOST': 'tcp://127.0.0.1:1'}; make(prepare(Settings(), environ), environ)"
    )
    found = loaded(started)
    assert {"docker", "requests", "urllib3"} <= found
    assert not UNUSED & found


def test_a_question_needs_no_detector_of_encodings() -> None:
    ask = "from microscaling.clients.http.client import fetch; fetch(sys.argv[1], deadline_s=60)"
    with Server(answers(b"good")) as server:
        found = loaded(ask, server.url())
    assert "requests" in found
    assert not DETECTORS & found


def test_whoever_wants_one_can_have_it() -> None:
    code = (
        "from microscaling.clients.http.library import load; load(); import charset_normalizer; "
        "print(json.dumps([charset_normalizer.from_bytes(b'abc').best() is not None]))"
    )
    assert run(code) == [True]


@pytest.mark.parametrize("first", ["import requests", "pass"])
def test_it_may_be_called_at_any_time(first: str) -> None:
    code = (
        "from microscaling.clients.http.library import load; load(); load(); import requests; "
        "print(json.dumps(['compat' in dir(requests), None in sys.modules.values()]))"
    )
    assert run(f"{first}; {code}") == [True, False]


def test_the_text_of_an_error_is_utf_8() -> None:
    code = (
        "from microscaling.clients.http.library import load; load(); import requests; "
        "print(json.dumps(requests.get(sys.argv[1]).text))"
    )
    with Server(answers("Größe".encode())) as server:
        assert run(code, server.url()) == "Größe"
