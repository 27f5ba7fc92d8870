"""What many services of a Swarm cost the agent: a beat, a listing, an event.

    python -m scripts.bench_swarm [--services 10 100 1000] [--beats 40]

Needs no Swarm: a fake manager in a process of its own answers as an engine does, at once. So the figures are
the agent's own cost, its client of HTTP and its parsing included, and nothing of a manager's.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import multiprocessing
import os
import queue
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.queues import Queue
from typing import Any
from urllib.parse import unquote, urlsplit

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.metric.toy import ToyMetric
from microscaling.scheduler.swarm.scheduler import SwarmScheduler
from microscaling.target.per_container import PerContainerTarget

REPLICAS = 5
NODES = 20
EVENTS = 200
EVENT_EVERY_S = 0.02
BEAT_S = 0.5
ENVIRONMENT = [f"VARIABLE_{number}=some value of a usual length" for number in range(20)]


class Manager(http.server.ThreadingHTTPServer):
    """Answers as a manager with so many services does, and counts what it is asked for."""

    daemon_threads = True

    def __init__(self, services: int, orders: Queue[str], answers: Queue[Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.orders, self.answers = orders, answers
        self.asked: Counter[str] = Counter()
        self.index = 10 * services
        self.services = {f"{number:025d}": self._service(number) for number in range(services)}
        # Made once: the time for it would count as the agent's wait.
        tasks = [self._task(id, slot) for id in self.services for slot in range(REPLICAS)]
        self.tasks = json.dumps(tasks).encode()
        self.listed = json.dumps([*self.services.values()]).encode()
        self.events: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def follow(self) -> None:
        """Carries out orders: "events" changes services one by one, each with an event; "counts" returns how
        often each thing was asked for."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.answers.put(self.server_address[1])
        while (order := self.orders.get()) != "end":
            if order == "events":
                for number in range(EVENTS):
                    self._change(number % len(self.services))
                    time.sleep(EVENT_EVERY_S)
            else:
                self.answers.put(dict(self.asked))

    def _service(self, number: int) -> dict[str, Any]:
        labels = {
            "microscaling.enable": "true",
            "microscaling.max": "100",
            "com.docker.stack.namespace": "shop",
        }
        container = {"Image": "example/worker:1@sha256:" + 64 * "0", "Env": ENVIRONMENT, "Labels": labels}
        policy = {"Condition": "any", "Delay": 5_000_000_000, "MaxAttempts": 0}
        template = {
            "ContainerSpec": container,
            "RestartPolicy": policy,
            "ForceUpdate": 0,
            "Runtime": "container",
        }
        spec = {
            "Name": f"shop_{number}", "Labels": labels, "TaskTemplate": template,
            "Mode": {"Replicated": {"Replicas": REPLICAS}},
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Monitor": 5_000_000_000},
            "EndpointSpec": {"Mode": "vip"},
        }  # fmt: skip
        return {"ID": f"{number:025d}", "Version": {"Index": number}, "Spec": spec, "PreviousSpec": spec}

    def _task(self, service: str, slot: int) -> dict[str, Any]:
        spec = self.services[service]["Spec"]["TaskTemplate"]
        status = {"Timestamp": "2026-01-01T00:00:00.000000000Z", "State": "running", "Message": "started",
                  "ContainerStatus": {"ContainerID": 64 * "0", "PID": 1234, "ExitCode": 0}}  # fmt: skip
        return {
            "ID": f"{service}{slot}", "Version": {"Index": 7}, "Spec": spec, "ServiceID": service,
            "Slot": slot + 1, "NodeID": f"node{slot % NODES}", "Status": status, "DesiredState": "running",
        }  # fmt: skip

    def _change(self, number: int) -> None:
        service = self.services[f"{number:025d}"]
        self.index += 1
        replicated = service["Spec"]["Mode"]["Replicated"]
        old, replicated["Replicas"] = replicated["Replicas"], replicated["Replicas"] + 1
        service["Version"]["Index"] = self.index
        attributes = {"name": service["Spec"]["Name"], "replicas.old": str(old),
                      "replicas.new": str(replicated["Replicas"])}  # fmt: skip
        event = {
            "Type": "service",
            "Action": "update",
            "Actor": {"ID": service["ID"], "Attributes": attributes},
        }
        self.events.put(json.dumps(event).encode() + b"\n")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets
    server: Manager

    def do_GET(self) -> None:
        """Answers one request."""
        path = unquote(urlsplit(self.path).path).removeprefix("/v1.41")
        kind = path.strip("/").split("/")[0]
        one = path.count("/") > 1
        self.server.asked[kind + "/ID" * one] += 1
        if kind == "events":
            self._stream()
        elif kind == "services" and one:
            self._reply(self.server.services[path.rpartition("/")[2]])
        elif kind == "services":
            self._send(self.server.listed)
        elif kind == "tasks":
            self._send(self.server.tasks)
        elif kind == "nodes":
            self._reply([_node(number) for number in range(NODES)])
        else:
            self._reply({"ApiVersion": "1.41", "Version": "20.10.24"})

    def do_POST(self) -> None:
        """Accepts an update, and leaves all as it is."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._reply({})

    def _reply(self, item: object) -> None:
        self._send(json.dumps(item).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                event = self.server.events.get()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def _node(number: int) -> dict[str, Any]:
    resources = {"NanoCPUs": 16 * 10**9, "MemoryBytes": 2**36}
    return {
        "ID": f"node{number}", "Spec": {"Availability": "active"}, "Status": {"State": "ready"},
        "Description": {"Hostname": f"host{number}", "Resources": resources},
    }  # fmt: skip


def _manager(services: int, orders: Queue[str], answers: Queue[Any]) -> None:
    Manager(services, orders, answers).follow()


@contextlib.contextmanager
def manager(services: int) -> Iterator[tuple[str, Callable[[str], None], Queue[Any]]]:
    """Runs one; gives its address, a function for orders, and its answers."""
    of = multiprocessing.get_context("spawn")
    orders: Queue[str] = of.Queue()
    answers: Queue[Any] = of.Queue()
    process = of.Process(target=_manager, args=(services, orders, answers), daemon=True)
    process.start()
    try:
        yield f"tcp://127.0.0.1:{answers.get(timeout=60)}", orders.put, answers
    finally:
        orders.put("end")
        process.join(10)


def measure(services: int, beats: int) -> dict[str, float]:
    """Returns the figures with so many services; times in milliseconds."""
    with manager(services) as (host, order, answers):
        rule = PerContainerTarget(10)
        tasks = Tasks(
            [
                Task(f"shop_{number}", priority=number % 10, max_containers=100, max_delta=100,
                     metric=ToyMetric(10 * REPLICAS), target=rule)
                for number in range(services)
            ],
            20 * services,
        )  # fmt: skip
        scheduler = SwarmScheduler(host)
        try:
            scheduler.count_all_tasks(tasks)
            readings = Readings(tasks.tasks, 1e9)
            decider = Decider(tasks, readings, 0.0)
            return _figures(tasks, scheduler, decider, readings, order, answers, beats)
        finally:
            scheduler.cleanup()


def _figures(
    tasks: Tasks,
    scheduler: SwarmScheduler,
    decider: Decider,
    readings: Readings,
    order: Callable[[str], None],
    answers: Queue[Any],
    beats: int,
) -> dict[str, float]:
    decisions: list[float] = []
    counts: list[float] = []
    used: list[float] = []
    for poll in readings.start(time.monotonic(), 1e9):
        poll.ask(time.monotonic)
    before = _asked(order, answers)
    began = time.monotonic()
    for beat in range(beats):
        time.sleep(max(0.0, began + beat * BEAT_S - time.monotonic()))
        cpu = time.process_time()
        decisions.append(_took(lambda: decider.beat(time.monotonic())))
        decisions[-1] += _took(lambda: scheduler.stop_start_tasks(tasks))
        counts.append(_took(lambda: scheduler.count_all_tasks(tasks)))
        used.append((time.process_time() - cpu) * 1000)
    seconds = time.monotonic() - began
    asked = _asked(order, answers)
    asked.subtract(before)
    return {
        "decision": statistics.median(decisions),
        "decision, slowest": max(decisions),
        "count": statistics.median(counts),
        "count, slowest": max(counts),
        "processor a beat": statistics.mean(used),
        "listings of tasks a second": asked["tasks"] / seconds,
        "listings of services a second": asked["services"] / seconds,
        "event": _of_events(order, answers),
    }


def _of_events(order: Callable[[str], None], answers: Queue[Any]) -> float:
    """Returns the processor time for one event (milliseconds), its look at the service included."""
    before = _asked(order, answers)
    cpu, deadline = time.process_time(), time.monotonic() + 60
    order("events")
    looks = 0
    while looks < EVENTS:
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {EVENTS} looks, there were {looks}")
        time.sleep(0.2)
        looks = _asked(order, answers)["services/ID"] - before["services/ID"]
    return (time.process_time() - cpu) * 1000 / EVENTS


def _asked(order: Callable[[str], None], answers: Queue[Any]) -> Counter[str]:
    order("counts")
    return Counter(answers.get(timeout=60))


def _took(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def main(words: list[str]) -> int:
    """Prints a table in Markdown. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_swarm", description=__doc__)
    parser.add_argument("--services", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--beats", type=int, default=40)
    asked = parser.parse_args(words)
    found = {number: measure(number, asked.beats) for number in asked.services}
    print(f"load {os.getloadavg()[0]:.1f}\n")
    print("| services | " + " | ".join(f"{number:,}" for number in found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for name in next(iter(found.values())):
        print(f"| {name} | " + " | ".join(f"{figures[name]:.3g}" for figures in found.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
