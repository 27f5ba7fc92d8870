"""Real workers with real jobs: scale-downs and hand-overs at random lose no job, where SIGTERM alone does."""

from __future__ import annotations

import pytest

from scripts import bench_drain
from tests.integration import engines

CHANGES = 10


@pytest.mark.parametrize(("kind", "signal"), [("PROCESS", "USR1"), ("DOCKER", "TSTP")])
def test_no_job_is_lost_or_repeated(
    kind: str, signal: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "DOCKER":
        request.getfixturevalue("engine")
        monkeypatch.setattr(bench_drain, "IMAGES", (engines.BUSYBOX,))
    with_drain = bench_drain.run(kind, True, CHANGES, seed=1, signal=signal)
    assert (with_drain.lost, with_drain.repeated) == (0, 0)
    assert with_drain.jobs > 0
    without = bench_drain.run(kind, False, CHANGES, seed=1)
    assert without.lost > 0, "the jobs are as long as they have to be"
