"""A worker of RabbitMQ, by kombu, and the side that publishes.

python rabbitmq_jobs.py QUEUE    a worker: it takes eight messages at a time, and acknowledges each at its end
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import kombu
from books import work

QUEUE = "jobs"
PREFETCH = 8
LOOK_S = 0.2


def connect() -> kombu.Connection:
    return kombu.Connection(os.environ["JOBS_AMQP"])


def declare() -> None:
    """Makes the queue of the end-to-end proof, which has two priorities."""
    with connect() as connection:
        kombu.Queue(QUEUE, exchange="", routing_key=QUEUE, max_priority=1).declare(
            channel=connection.channel()
        )


def put(jobs: list[dict[str, Any]]) -> None:
    """Publishes its jobs. One for later goes to a queue of its delay, from which it comes back when that is
    over."""
    with connect() as connection:
        producer = connection.Producer()
        for each in jobs:
            later = f"{QUEUE}.in-{each['delay']:g}-s"
            if each["delay"]:
                arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": QUEUE}
                queue = kombu.Queue(later, exchange="", routing_key=later, queue_arguments=arguments,
                                    message_ttl=each["delay"])  # fmt: skip
                queue.declare(channel=connection.default_channel)
            body = json.dumps([each["id"], each["seconds"]])
            producer.publish(
                body, routing_key=later if each["delay"] else QUEUE, priority=int(each["other"]),
                content_type="application/x-jobs",
            )  # fmt: skip


def main() -> None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))

    def take(message: kombu.Message) -> None:
        if not stopped:  # one that is not acknowledged goes back when the connection is closed
            work(*_job(message))
            message.ack()

    with connect() as connection:
        queue = kombu.Queue(sys.argv[1], exchange="", routing_key=sys.argv[1], no_declare=True)
        with connection.Consumer(queue, on_message=take, prefetch_count=PREFETCH):
            while not stopped:
                with suppress(socket.timeout):
                    connection.drain_events(timeout=LOOK_S)


def _job(message: kombu.Message) -> list[Any]:
    """The job's id and seconds; a message of any other kind is a job that ends once it is released."""
    timed = message.content_type == "application/x-jobs"
    return list(json.loads(message.body)) if timed else [1]


if __name__ == "__main__":
    main()
