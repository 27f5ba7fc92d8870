# Takes jobs of one kind from the queue, one at a time: python3 worker.py KIND
import signal
import sqlite3
import sys
import time

stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))  # it ends when its job is done
queue = sqlite3.connect("jobs.db", timeout=30, isolation_level=None)
take = "UPDATE jobs SET taken=1 WHERE id=(SELECT min(id) FROM jobs WHERE kind=? AND NOT taken) RETURNING id"
while not stopping:
    jobs = queue.execute(take, sys.argv[1:]).fetchall()
    time.sleep(1)  # the work
    queue.executemany("DELETE FROM jobs WHERE id = ?", jobs)
