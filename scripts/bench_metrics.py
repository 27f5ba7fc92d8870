"""The cost of the metrics: processor time of a scrape, memory, beats that were left out.

    python -m scripts.bench_metrics [--tasks 100] [--scrapes 20]

Two agents with the same tasks, one with metrics and one without; the first one is scraped as Prometheus
does it. Ends with 1 if a scrape takes more than 100 ms of processor, or the metrics more than 8 MB (for 100
tasks), or if a beat was left out that the other agent kept.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
MAX_MS = 100.0
MAX_MB = 8.0
WARM_S = 5.0
EVERY_S = 1.0
MB = 2**20


def apps(folder: Path, count: int) -> str:
    """The configuration: tasks with a queue each, in one database."""
    config = {"targetQueueLength": 10, "databaseURL": f"sqlite:///{folder}/jobs.db",
              "query": "SELECT count(*) FROM jobs"}  # fmt: skip
    tasks = [
        {"name": f"task-{i:03}", "priority": i, "maxContainers": 4, "ruleType": "SimpleQueue",
         "metricType": "SQL", "config": config}
        for i in range(1, count + 1)
    ]  # fmt: skip
    return json.dumps({"maxContainers": 2 * count, "apps": tasks})


@contextmanager
def agent(folder: Path, count: int, metrics: bool) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An agent at work, and the address of its metrics."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MSS_")}
    environ |= {"MSS_SCHEDULER": "TOY", "MSS_MONITOR": "none", "MSS_CONFIG_DATA": apps(folder, count)}
    environ |= {"MSS_METRICS_ADDRESS": "127.0.0.1:0"} if metrics else {}
    log = folder / f"log-{metrics}"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "microscaling"], cwd=ROOT, env=environ, stderr=file, text=True
        )
    try:
        time.sleep(WARM_S)
        found = re.search(r"metrics at (\S+)", log.read_text())
        yield process, found[1] if found else ""
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def processor_s(pid: int) -> float:
    """The processor time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """The resident memory in bytes, without the pages of files that others share."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0]) * 1024


def scrape(address: str) -> str:
    """The metrics, as Prometheus asks for them."""
    with urlopen(Request(address, headers={"Accept": OPENMETRICS}), timeout=30) as answer:
        return str(answer.read().decode())


def rate(pid: int, seconds: float) -> float:
    """The processor time a second of an agent, over so many seconds."""
    before = processor_s(pid)
    time.sleep(seconds)
    return (processor_s(pid) - before) / seconds


def main() -> int:
    """Measures, prints, and judges."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--scrapes", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(sqlite3.connect(folder / "jobs.db")) as db, db:
            db.execute("CREATE TABLE jobs (id)")
            db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(20)])
        with (
            agent(folder, asked.tasks, metrics=False) as (bare, _),
            agent(folder, asked.tasks, metrics=True) as (process, address),
        ):
            idle = rate(process.pid, asked.scrapes * EVERY_S)
            before = processor_s(process.pid)
            began = time.monotonic()
            for i in range(asked.scrapes):
                text = scrape(address)
                time.sleep(max(0.0, began + (i + 1) * EVERY_S - time.monotonic()))
            took = time.monotonic() - began
            used = (processor_s(process.pid) - before - idle * took) / asked.scrapes
            more = memory(process.pid) - memory(bare.pid)
    skipped = int(float(re.findall(r"^microscaling_beats_skipped_total (\S+)", text, re.MULTILINE)[0]))
    print(f"tasks                    {asked.tasks}")
    print(
        f"series, bytes            {sum(not line.startswith('#') for line in text.splitlines())}, {len(text)}"
    )
    print(f"processor a scrape       {1000 * used:.0f} ms (limit {MAX_MS:g})")
    print(f"memory                   {more / MB:.1f} MB more than without metrics (limit {MAX_MB:g})")
    print(f"beats that were left out {skipped}")
    return 1000 * used > MAX_MS or more > MAX_MB * MB or skipped > 0


if __name__ == "__main__":
    sys.exit(main())
