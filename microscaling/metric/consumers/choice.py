"""The list of consumers for a metric, if its source has one."""

from __future__ import annotations

from collections.abc import Callable

from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.consumers.base import Consumers
from microscaling.metric.multiple import MultipleMetric


def consumers_of(metric: Metric) -> Consumers:
    """Returns the consumers of a metric's queue. Raises ConfigError if its source does not show them, with
    the reason."""
    # A container may take its jobs from any of them.
    if metric.terms:
        raise ConfigError("the task has several sources")
    if isinstance(metric, MultipleMetric):
        raise ConfigError("the task has several metrics")
    name = metric.type_name
    if name in MAKERS:
        return MAKERS[name](metric)
    raise ConfigError(REASONS.get(name, f"{name or 'its metric'} does not show the consumers of a queue"))


def _nsq(metric: Metric) -> Consumers:
    from microscaling.metric.consumers.nsq import NSQConsumers

    return NSQConsumers(metric)


def _redis(metric: Metric) -> Consumers:
    from microscaling.metric.consumers.redis import KINDS

    return KINDS[metric.type_name](metric)


def _rabbitmq(metric: Metric) -> Consumers:
    from microscaling.metric.consumers.rabbitmq import RabbitMQConsumers

    return RabbitMQConsumers(metric)


def _celery(metric: Metric) -> Consumers:
    from microscaling.metric.consumers.celery import CeleryConsumers

    return CeleryConsumers(metric)


MAKERS: dict[str, Callable[[Metric], Consumers]] = {
    "NSQ": _nsq,
    "RQ": _redis,
    "RedisStream": _redis,
    "Sidekiq": _redis,
    "Asynq": _redis,
    "Celery": _celery,
    "RabbitMQ": _rabbitmq,
}
REASONS = {
    "BullMQ": "BullMQ's connections wait for the next job while another one runs, unless concurrency is 1",
    "JetStream": "NATS does not show which consumer has a message",
    "Dramatiq": "the acknowledgements of Dramatiq have random names, and no host name",
    "Huey": "a running task of Huey is in no key of Redis",
    "ARQ": "the workers of a queue of arq share one key, which is up to an hour old",
    "SAQ": "what SAQ's workers report has no number of running jobs",
    "Taskiq": "the consumers of Taskiq have random names",
    "Streaq": "streaQ's running tasks have no worker's name",
    "Bull": "Bull's connections wait for the next job while another one runs, unless concurrency is 1",
    "BeeQueue": "the running jobs of Bee-Queue have no worker's name",
    "Laravel": "the reserved jobs of Laravel have no worker's name",
    "River": "only River's busy clients are in its tables, so an idle one looks like one that is missing",
    "Kafka": "a member of a group looks the same at work and without",
    "SQL": "the rows of a table do not show the container that works on them",
    "SQS": "SQS does not show its consumers",
    "AzureQueue": "Azure's queues do not show their consumers",
}
"""Why the source of a metric cannot show them."""
