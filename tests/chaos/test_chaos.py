"""A minute of chaos with each scheduler; `make chaos` makes more of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.kinds import DOCKER, Chaos, with_compose
from tests.chaos.run import run
from tests.integration.engines import Missing, give_up

COMPOSE = shutil.which("docker-compose") or "docker-compose"
RUNS = [
    # Its plan begins with engine, agent and the way between them, all away at once.
    pytest.param(DOCKER, 195, "", id="DOCKER"),
    # An `up` that changes all, and the agent is killed during it; then a `stop`, and a `restart`.
    pytest.param(with_compose(COMPOSE), 422, " --scheduler COMPOSE", id="COMPOSE"),
]
MINUTES = 1


@pytest.mark.integration
@pytest.mark.parametrize(("chaos", "seed", "more"), RUNS)
def test_a_minute_of_chaos_breaks_no_invariant(chaos: Chaos, seed: int, more: str, tmp_path: Path) -> None:
    try:
        outcome = run(seed, MINUTES, tmp_path, chaos)
    except Missing as missing:
        give_up(missing)
    replay = f"python -m tests.chaos --seed {seed} --minutes {MINUTES}{more}"
    assert not outcome.violations, f"{replay}; logs in {tmp_path}\n{report.told(outcome.figures)}"
    assert outcome.figures["faults"], "nothing has been shown"
    assert outcome.figures["recoveries"]
