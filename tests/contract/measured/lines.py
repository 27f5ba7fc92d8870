"""Servers with a protocol of text lines."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.beanstalkd import BeanstalkdMetric
from microscaling.metric.gearman import GearmanMetric
from tests.contract.measured.base import Remote
from tests.metric.proxy import OF_ANY, instead, page, pours
from tests.services.beanstalkd import Beanstalkd
from tests.services.gearmand import WORK_COMPLETE, Gearmand

STATS = (
    b"---\ncurrent-jobs-ready: %b\ncurrent-jobs-reserved: 0\ncurrent-jobs-delayed: 0\npause-time-left: 0\n"
)


def stats(ready: bytes) -> bytes:
    body = STATS % ready
    return b"OK %d\r\n%b\r\n" % (len(body), body)


class BeanstalkdTube(Remote):
    type_name = "Beanstalkd"
    faults = OF_ANY | {
        "a page of something else": page("200 OK", "0"),
        "an error": instead(b"INTERNAL_ERROR\r\n"),
        "not a number": instead(stats(b"one")),
        "negative": instead(stats(b"-1")),
        "too large": instead(stats(b"9" * 16)),
        "no number": instead(b"OK 5\r\n---\n\n\r\n"),
        "longer than it says": instead(stats(b"5")[:3] + b"9" + stats(b"5")[5:]),
        "endless line": pours(b"", b"0" * 65536),
        "endless body": pours(b"OK 999999999\r\n", b"0" * 65536),
    }

    def start(self) -> None:
        server = self.stack.enter_context(Beanstalkd(self.folder))
        self.client = self.stack.enter_context(server.client())
        self.client.ask("use jobs")
        self.client.ask("watch jobs")
        self.url = server.url
        self.jobs: list[str] = []

    def metric(self) -> Metric:
        return BeanstalkdMetric(self.way, "jobs")

    def set(self, count: int) -> None:
        for job in self.jobs:
            assert self.client.ask(f"delete {job}") == "DELETED"
        self.jobs = self.client.put(count)


class GearmanFunction(Remote):
    type_name = "Gearman"
    faults = OF_ANY | {
        "a page of something else": page("200 OK", "0"),
        "an error": instead(b"ERR UNKNOWN_COMMAND Unknown+server+command\r\n"),
        "not a number": instead(b"jobs\tone\t0\t0\n.\n"),
        "negative": instead(b"jobs\t-1\t0\t0\n.\n"),
        "too large": instead(b"jobs\t" + b"9" * 16 + b"\t0\t0\n.\n"),
        "without its end": instead(b"jobs\t5\t0\t0\n"),
        "endless lines": pours(b"", b"jobs\t5\t0\t0\n" * 1000),
        "endless line": pours(b"jobs\t", b"0" * 65536),
    }

    def start(self) -> None:
        server = self.stack.enter_context(Gearmand(self.folder))
        self.client = self.stack.enter_context(server.client())
        self.url = server.url
        self.count = 0

    def metric(self) -> Metric:
        return GearmanMetric(self.way, "jobs")

    def set(self, count: int) -> None:
        for _ in range(self.count):
            self.client.send(WORK_COMPLETE, self.client.grab("jobs"), "")
        self.count = count
        self.client.submit("jobs", count)


KINDS = (
    BeanstalkdTube,
    GearmanFunction,
)
