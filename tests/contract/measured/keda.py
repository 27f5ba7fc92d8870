"""An external scaler of KEDA."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.keda import KEDAMetric
from tests.contract.measured.base import Remote
from tests.metric.proxy import OF_ANY
from tests.services.keda import Scaler


class KEDA(Remote):
    type_name = "KEDA"
    faults = OF_ANY

    def start(self) -> None:
        self.scaler = self.stack.enter_context(Scaler())
        self.url = f"grpc://{self.scaler.address}"

    def metric(self) -> Metric:
        return KEDAMetric(self.way, {"queue": "jobs"})

    def set(self, count: int) -> None:
        self.scaler.value = count
        self.scaler.active = count > 0


KINDS = (KEDA,)
