"""Every metric and every scheduler of this package has a case in the suites of this folder."""

from __future__ import annotations

from microscaling.metric.base import METRICS
from microscaling.scheduler.base import SCHEDULERS
from tests.contract.measured import KINDS
from tests.contract.schedulers import CASES


def test_every_metric_has_a_case() -> None:
    missing = {metric.type_name for metric in METRICS.ours()} - {kind.type_name for kind in KINDS}
    assert not missing, "write a Measured for it, in a module of tests/contract/measured"


def test_every_scheduler_has_a_case() -> None:
    missing = {scheduler.type_name for scheduler in SCHEDULERS.ours()} - set(CASES)
    assert not missing, "write a Case for it, and put it into CASES of tests/contract/schedulers.py"
