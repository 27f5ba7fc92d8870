#!/usr/bin/env bash
# Procrastinate: a job that a worker cuts off at its shutdown is "aborted" for good; that of a worker which was killed can be run again.
#
# One would assume that shutdown_graceful_timeout (--shutdown-graceful-timeout), which one sets to end before the grace of the container
# is over, has the jobs that need longer go back to `todo`, as with arq and SAQ, since nobody has asked to abort them.
# They are cancelled and written down as "aborted", the same as after cancel_job(abort=True): an end, which no worker takes up and
# get_stalled_jobs does not find. Only with a retry strategy for the task do they go back, and that costs them one of their attempts.
# Without the timeout the worker waits as long as it takes; if the engine kills it then, the job stays "doing", and is found as stalled.
# An autoscaler that stops busy workers loses each job that is longer than this timeout, and the more careful the setting looks
# (worker 25 s, container 30 s) the more it loses. Leave it out, or give long tasks a retry, and count `aborted` as lost.
# Seen with Procrastinate 3.10.0 (procrastinate/worker.py), with the InMemoryConnector that it has for tests.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check procrastinate==3.10.0
cat >"$dir/look.py" <<'PY'
import asyncio
import importlib.metadata
import os
import signal

import procrastinate
from procrastinate.testing import InMemoryConnector

connector = InMemoryConnector()
app = procrastinate.App(connector=connector)
begun = asyncio.Semaphore(0)


async def work():
    begun.release()
    await asyncio.sleep(60)


plain = app.task(work, name="plain")
retried = app.task(work, name="with a retry", retry=5)


async def main():
    async with app.open_async():
        for job in (plain, retried):
            await job.defer_async()
        worker = asyncio.create_task(app.run_worker_async(concurrency=2, shutdown_graceful_timeout=1, listen_notify=False))
        for _ in range(2):
            await begun.acquire()
        os.kill(os.getpid(), signal.SIGTERM)
        await worker
        seen = {job["task_name"]: (job["status"], job["attempts"]) for job in connector.jobs.values()}
        stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=0))
    print("Procrastinate", importlib.metadata.version("procrastinate"), "- two jobs of a minute, SIGTERM, a timeout of 1 s:")
    print("status and attempts:", seen, "stalled:", len(stalled))
    assert (seen, stalled) == ({"plain": ("aborted", 1), "with a retry": ("todo", 1)}, []), "they are put back now"


asyncio.run(main())
PY
"$dir/venv/bin/python" "$dir/look.py" 2>&1 | grep -v 'App is instantiated'
