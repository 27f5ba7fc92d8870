"""The workers of Celery, asked by Celery itself: `inspect active`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.celery import CeleryMetric
from microscaling.metric.consumers.base import Consumer, Consumers, MetricError
from microscaling.utils.text import cause_of

ANSWER_S = 1.0


class CeleryConsumers(Consumers):
    """The workers that answer. One that does not, such as a solo worker at work, is not in the list. Raises
    ConfigError without the library."""

    delay_s = 0.2

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        assert isinstance(metric, CeleryMetric)
        # Looked for now, so that a configuration without it is refused at the start.
        if find_spec("celery") is None:
            raise ConfigError("asking Celery's workers needs celery (pip install celery beside the agent)")
        self.metric = metric
        self.name = f"Celery at {public_url(metric.url)}"
        self._app: Any = None

    def fetch(self) -> Sequence[Consumer]:
        try:
            answers = self._inspect().active() or {}
            # NODE@HOST. Tasks that a worker has fetched and not begun go back to the queue at its end.
            return [Consumer(name.partition("@")[2], bool(tasks)) for name, tasks in answers.items()]
        except Exception as error:  # of the library, or of the broker's
            raise MetricError(f"{self.name}: {cause_of(error)}") from None

    def close(self) -> None:
        if self._app is not None:
            for pool in (self._app.producer_pool, self._app.pool):
                pool.force_close_all()
            self._app.close()

    def _inspect(self) -> Any:
        if self._app is None:
            self._app = import_module("celery").Celery(broker=self.metric.url, set_as_current=False)
            self._app.conf.broker_connection_timeout = ANSWER_S
            self._app.conf.broker_transport_options = {
                "global_keyprefix": self.metric.prefix,
                "socket_timeout": ANSWER_S,
            }
        # It waits for all of its time, as no one knows how many workers there are.
        return self._app.control.inspect(timeout=ANSWER_S)
