"""A minute of chaos; `make chaos` makes more of it, also with Compose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.kinds import DOCKER
from tests.chaos.run import run
from tests.integration.engines import Missing, give_up

MINUTES = 1


@pytest.mark.integration
def test_a_minute_of_chaos_breaks_no_invariant(tmp_path: Path) -> None:
    seed = 195  # its plan begins with engine, agent and the way between them, all away at once
    try:
        outcome = run(seed, MINUTES, tmp_path, DOCKER)
    except Missing as missing:
        give_up(missing)
    replay = f"python -m tests.chaos --seed {seed} --minutes {MINUTES}"
    assert not outcome.violations, f"{replay}; logs in {tmp_path}\n{report.told(outcome.figures)}"
    assert outcome.figures["faults"], "nothing has been shown"
    assert outcome.figures["recoveries"]
