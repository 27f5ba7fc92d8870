"""What the agent itself costs: its start, a beat of many tasks, doing nothing, a source that hangs."""

from __future__ import annotations

import http.server
import json
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.metric.nsq import NSQMetric
from microscaling.target.queue import QueueLengthTarget
from scripts.bench.engine import MINE, Witness
from scripts.bench.ours import ROOT, OurAgent, Queue, compiled, environment, queue_app, rest_app

BEAT_S = 0.5
TASKS = 2000


def first_decision() -> float:
    """From process start to the first decision, with the TOY scheduler: seconds."""
    data = json.dumps({"maxContainers": 4, "apps": [{"name": "a", "priority": 1, "maxContainers": 4}]})
    toy = {"MSS_SCHEDULER": "TOY", "MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": data, "MSS_MONITOR": "none"}
    compiled(ROOT)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "microscaling"],
        cwd=ROOT,
        env={**environment(), **toy},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    next(line for line in process.stderr if "a: 0 -> " in line)
    took = time.monotonic() - began
    process.terminate()
    process.communicate()
    return took


def idle(witness: Witness, seconds: float, tree: Path = ROOT) -> tuple[float, float]:
    """10 containers on Docker, one NSQ, no monitor: megabytes resident, and the share of a core."""
    with tempfile.TemporaryDirectory() as folder, NSQ(1) as nsq:
        spare = Queue(Path(folder))
        app = queue_app("high", spare, 9)
        app["metricType"] = "NSQ"
        app["config"].update(topicName="t0", channelName="c", targetQueueLength=50)
        with OurAgent([app, rest_app("low", 10)], 10, tree, NSQ_STATS_ENDPOINT=nsq.endpoint) as agent:
            witness.wait(**{f"{MINE}-high": 1, f"{MINE}-low": 9})
            time.sleep(7)  # the first seconds are not idle
            before, since = agent.cpu_s(), time.monotonic()
            time.sleep(seconds)
            return agent.resident_mb(), (agent.cpu_s() - before) / (time.monotonic() - since)


class NSQ:
    """The statistics page of an nsqd with so many topics; `hang` makes it keep its answers back."""

    def __init__(self, topics: int) -> None:
        self.topics = topics
        self.depth(50)
        self.hang = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet, as nsqd's answer is

            def do_GET(self) -> None:
                while outer.hang.is_set():
                    time.sleep(0.05)
                self.send_response(200)
                body = outer.body
                self.send_header("Content-Length", str(len(body)))
                try:
                    self.end_headers()
                    self.wfile.write(body)
                    self.wfile.flush()
                except BrokenPipeError:  # who had asked has given up
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"127.0.0.1:{self.server.server_address[1]}"

    def depth(self, items: int) -> None:
        """From now on so many items wait in each topic."""
        names = [
            {"topic_name": f"t{i}", "depth": 0, "channels": [{"channel_name": "c", "depth": items}]}
            for i in range(self.topics)
        ]
        self.body = json.dumps({"version": "1.3.0", "topics": names}).encode()

    def __enter__(self) -> NSQ:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.clear()
        self.server.shutdown()
        self.server.server_close()


def make_task(number: int, endpoint: str) -> Task:
    task = Task(f"t{number}", priority=1 + number % 10, min_containers=1, max_containers=10, max_delta=9)
    task.target = QueueLengthTarget(50)
    task.metric = NSQMetric(f"t{number}", "c", endpoint)
    task.demand = task.requested = task.running = 1
    return task


def beats(seconds: float) -> tuple[float, float]:
    """2,000 tasks on one NSQ: the 99th percentile of how late a beat is (seconds), and the share of a core
    that they take. The server of the statistics is another process's business, so it is subtracted."""
    with NSQ(TASKS) as nsq:
        tasks = Tasks([make_task(i, nsq.endpoint) for i in range(TASKS)], 20 * TASKS)
        engine = LocalEngine()
        late: list[float] = []
        times: list[float] = []
        engine.get_demand(tasks, queue.Queue(maxsize=1))
        beat_thread = engine.threads[0]
        decider = beat_thread.decider  # type: ignore[attr-defined]
        beat = decider.beat

        def timed(now: float) -> bool:
            times.append(time.monotonic())
            return bool(beat(now))

        decider.beat = timed
        before, since = time.process_time(), time.monotonic()
        time.sleep(seconds)
        cpu = (time.process_time() - before) / (time.monotonic() - since)
        engine.stop_demand(queue.Queue(maxsize=1))
    start = times[0]
    late = [(t - start + BEAT_S / 2) % BEAT_S - BEAT_S / 2 for t in times]
    earliest = min(late)
    return statistics.quantiles([x - earliest for x in late], n=100)[-1], cpu


def reaction_while_a_source_hangs(rounds: int) -> list[float]:
    """How long after its queue jumped a task was decided about, while another task's source hangs; each
    time in another part of the beat."""
    with tempfile.TemporaryDirectory() as folder, NSQ(1) as nsq:
        sound = Queue(Path(folder))
        hanging = queue_app("hangs", sound, 5)
        hanging["metricType"] = "NSQ"
        hanging["config"].update(topicName="t0", channelName="c")
        # One more or fewer at a time: it comes back down however busy the machine is.
        apps = [hanging, {**queue_app("sound", sound, 5), "priority": 2, "ruleType": "SimpleQueue"}]
        nsq.hang.set()
        with OurAgent(apps, 10, MSS_SCHEDULER="TOY", NSQ_STATS_ENDPOINT=nsq.endpoint) as agent:
            took = []
            for number in range(rounds):
                sound.put(0)
                _wait_for(agent.log, rf"{MINE}-sound: \d -> 1", number + 1)
                time.sleep(2 + BEAT_S * number / rounds)
                sound.put(1000)
                began = time.monotonic()
                _wait_for(agent.log, rf"{MINE}-sound: 1 -> ", number + 1)
                took.append(time.monotonic() - began)
            return took


def _wait_for(log: Path, pattern: str, times: int) -> None:
    deadline = time.monotonic() + 30
    while len(re.findall(pattern, log.read_text())) < times:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{pattern} is not in the log:\n{log.read_text()}")
        time.sleep(0.002)
