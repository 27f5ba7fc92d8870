#!/usr/bin/env bash
# prometheus_client: a coroutine with @gauge.track_inprogress() is never in progress, and one with @histogram.time() takes no time.
#
# One would assume that the decorators count an `async def` from its begin to its end, as they do with a function, or refuse it.
# They call it, get the coroutine back at once, and are through before its first line has run: the gauge is up for some microseconds,
# and the histogram has microseconds for a job of minutes. No error, no warning, and the job runs as it should; `with` inside of it is
# right. So it is in a worker of arq, SAQ, taskiq, FastStream or FastAPI, and for generators.
# An autoscaler that stops what has nothing in progress stops workers in their jobs, all of them; one with a target for each copy
# sees no load at all, and one by latency sees none either. Write `with gauge.track_inprogress():` inside of the coroutine.
# Seen with prometheus_client 0.26.0 (context_managers.py), on Python 3.11. Its pull request 767 of 2022 would mend it, and is open;
# the documentation does not say it.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check prometheus_client==0.26.0
cat >"$dir/look.py" <<'PY'
import asyncio, importlib.metadata, sys
from prometheus_client import REGISTRY, Gauge, Histogram

decorated = Gauge("decorated", "Jobs of a coroutine with the decorator.")
inside = Gauge("inside", "Jobs of a coroutine with a block inside.")
took = Histogram("took", "Seconds of a job.")


@took.time()
@decorated.track_inprogress()
async def job():
    with inside.track_inprogress():
        await asyncio.sleep(1)


async def main():
    jobs = [asyncio.create_task(job()) for _ in range(5)]
    await asyncio.sleep(0.5)
    seen = [int(REGISTRY.get_sample_value(name)) for name in ("decorated", "inside")]
    await asyncio.gather(*jobs)
    return seen


print("Python", sys.version.split()[0], "prometheus_client", importlib.metadata.version("prometheus_client"))
seen = asyncio.run(main())
count, total = (REGISTRY.get_sample_value(name) for name in ("took_count", "took_sum"))
print(f"5 jobs of one second are running: by the decorator {seen[0]}, by a block inside {seen[1]}")
print(f"after them: {count:.0f} jobs took {total:.3f} s together")
assert (seen, count) == ([0, 5], 5) and total < 0.1, "it counts coroutines now"
PY
"$dir/venv/bin/python" "$dir/look.py"
