"""What the demo scales without a container engine: takes jobs, one after the other, until told to stop.

worker.py DATABASE QUEUE SECONDS PARENT, where a job takes that many seconds, and nobody would stop it if
that process had gone
"""

import os
import signal
import sys
import threading

from jobs import Jobs  # a script finds what lies beside it


def main(path: str, queue: str, seconds: float, parent: int) -> None:
    """The job that has been taken is not lost on SIGTERM: it ends with the process, taken."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs = Jobs(path)
    while not stopped.is_set() and os.getppid() == parent:
        jobs.take(queue)
        stopped.wait(seconds)
    jobs.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
