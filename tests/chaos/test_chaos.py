"""A minute of chaos; `make chaos` makes more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.run import run
from tests.integration.engines import Missing, give_up

SEED = 195
"""Its plan begins with engine, agent and the way between them, all away at once."""
MINUTES = 1


@pytest.mark.integration
def test_a_minute_of_chaos_breaks_no_invariant(tmp_path: Path) -> None:
    try:
        outcome = run(SEED, MINUTES, tmp_path)
    except Missing as missing:
        give_up(missing)
    replay = f"python -m tests.chaos --seed {SEED} --minutes {MINUTES}"
    assert not outcome.violations, f"{replay}; logs in {tmp_path}\n{report.told(outcome.figures)}"
    assert outcome.figures["faults"], "nothing has been shown"
    assert outcome.figures["recoveries"]
