"""A worker of RabbitMQ, by kombu: it takes eight messages at a time, and acknowledges each at its end.

python rabbitmq_jobs.py QUEUE
"""

from __future__ import annotations

import os
import sys
import time

import kombu
import redis


def main() -> None:
    books = redis.Redis.from_url(os.environ["JOBS_BOOKS"])

    def work(message: kombu.Message) -> None:
        books.rpush("started", 1)
        while not books.exists("release"):
            time.sleep(0.02)
        message.ack()
        books.rpush("done", 1)

    with kombu.Connection(os.environ["JOBS_AMQP"]) as connection:
        queue = kombu.Queue(sys.argv[1], exchange="", routing_key=sys.argv[1], no_declare=True)
        with connection.Consumer(queue, on_message=work, prefetch_count=8):
            while True:
                connection.drain_events()


if __name__ == "__main__":
    main()
