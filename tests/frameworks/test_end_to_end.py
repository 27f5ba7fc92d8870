"""Real workers under a real agent do every job once, from zero and back to zero; see `make frameworks`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.frameworks import proofs
from tests.frameworks.__main__ import all_well, heading, row
from tests.frameworks.end_to_end import PATIENCE_S, Load, run

NAIVE_PATIENCE_S = 6.0


def test_its_own_metric_does_what_the_length_of_its_list_does_not(tmp_path: Path) -> None:
    framework = proofs.ALL["BullMQ"]
    load = Load(64, quiet_s=2.0, bursts=1)
    with ThreadPoolExecutor() as pool:
        own = pool.submit(run, framework, load, tmp_path / "own", False, PATIENCE_S)
        naive = pool.submit(run, framework, load, tmp_path / "naive", True, NAIVE_PATIENCE_S)
    print(heading(), row("BullMQ", own.result()), row("its list", naive.result()), sep="\n")
    assert len(load.phases) == 4
    assert own.result().jobs == 60
    assert all_well(own.result())
    assert own.result().starts > 1
    # Those that are delayed, and those of another priority, are in other keys.
    assert naive.result().late > 0
    assert naive.result().starts > 0
