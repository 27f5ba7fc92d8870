"""What holds for every metric, each with the real thing behind it: it reads the true value, follows
a change, and takes no trouble for a value.

Whatever happens to an answer, there is an error by itself (what hangs or drips is well again after
12 s, and a metric that waited for it would report a value then), the last value stays, and the next
answer counts again. That no thread and no socket is left is seen to for every test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Metric
from tests.contract.measured import KINDS, Measured
from tests.contract.measured.plain import Null
from tests.services.service import wait_for


class Contract:
    kind: type[Measured]

    def test_it_reads_the_true_value_and_follows_a_change(self, measured: Measured, metric: Metric) -> None:
        for count in (3, 0, 12):
            measured.set(count)
            expected = 0 if self.kind is Null else count
            if measured.settles:
                wait_for(lambda: measure(metric) == expected)  # noqa: B023
            else:
                wait_for(lambda: answers(metric))
            assert measure(metric) == expected
            assert type(metric.current) is int

    def test_it_is_of_the_type_and_equal_ones_share_a_source(
        self, measured: Measured, metric: Metric
    ) -> None:
        assert metric.type_name == self.kind.type_name
        other = measured.metric()
        assert (other.source and other.source.key) == (metric.source and metric.source.key)


class Breakable(Contract):
    def test_a_fault_is_an_error_and_never_a_value(
        self, measured: Measured, metric: Metric, fault: str
    ) -> None:
        measured.set(5)
        wait_for(lambda: answers(metric) and metric.current == 5)
        with measured.broken(fault), pytest.raises(MetricError) as caught:
            metric.update()
        assert metric.current == 5
        assert str(caught.value).isprintable()
        wait_for(lambda: answers(metric))  # at once, but for the time that a busy machine takes
        assert metric.current == 5


for kind in KINDS:
    base = Breakable if kind.faults else Contract
    globals()[f"Test{kind.__name__}"] = type(f"Test{kind.__name__}", (base,), {"kind": kind})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", metafunc.cls.kind.faults)


@pytest.fixture(scope="class")
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    with request.cls.kind(tmp_path_factory.mktemp("measured")) as measured:
        yield measured


@pytest.fixture
def metric(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metric]:
    with measured.connected():
        for name, value in measured.environment().items():
            monkeypatch.setenv(name, value)
        metric = measured.metric()
        yield metric
        if metric.source is not None:
            metric.source.close()


def answers(metric: Metric) -> bool:
    """The first question imports the client (boto3 takes a second of processor time), which on a busy
    machine is longer than an answer may take."""
    try:
        metric.update()
    except MetricError:
        return False
    return True


def measure(metric: Metric) -> int:
    wait_for(lambda: answers(metric))
    return metric.current
