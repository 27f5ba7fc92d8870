"""8 containers change hands that need 3 s until they are ready: started anew, and warm."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.bench.containers import CAP, QUIET_S, Build
from scripts.bench.engine import LABEL, MINE, Witness, now
from scripts.bench.ours import OurAgent, Queue, queue_app

START_S = 3
HIGH = CAP - 1
LOOK_EVERY_S = 0.005
PATIENCE_S = 120.0
WAITS = "while :; do sleep 3600 & wait $!; done"
BEGIN = 'id=$(cat /proc/sys/kernel/random/uuid); trap "exit 0" TERM'
LOADS = f"sleep {START_S} & wait $!"
COLD = f"{BEGIN}; {LOADS}; touch /bench/$id; {WAITS}"
WARM = f'{BEGIN}; trap "touch /bench/$id" CONT; {LOADS}; touch /ready; {WAITS}'
WARM_KEYS: dict[str, Any] = {
    "warm": HIGH - 1, "warmAfter": {"file": "/ready"}, "go": {"signal": "CONT"}  # nosec: in a container
}  # fmt: skip
FREEZES = {"yield": "pause", "leaseSeconds": 600}


def jump_to_ready(build: Build, witness: Witness, share: float, warm: bool) -> float:
    """Returns the seconds from the jump of the queue, when `share` of a beat has gone by, until eight more
    containers have done what they do at their start."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-warm-") as name:
        folder, ready = Path(name), Path(name, "ready")
        ready.mkdir(mode=0o777)
        (folder / "low").mkdir()
        queue, other = Queue(folder), Queue(folder / "low")
        command = ["sh", "-c", WARM if warm else COLD]
        config = {"command": command, "volumes": [f"{ready}:/bench"], **(WARM_KEYS if warm else {})}
        low = queue_app("low", other, CAP - 1, **(FREEZES if warm else {})) | {"priority": 2}
        with OurAgent([queue_app("high", queue, HIGH, **config), low], CAP, build.tree) as agent:
            _until(lambda: len([*ready.iterdir()]) == 1)
            if warm:  # the pool is filled while there are free places
                _until(lambda: _frozen(witness) == HIGH - 1)
            other.put(1000)
            witness.wait(**{f"{MINE}-low": CAP - 1, f"{MINE}-high": 1})
            time.sleep(QUIET_S)
            agent.wait_for_beat(share)
            witness.fresh()
            began = now()
            queue.put(1000)
            _until(lambda: len([*ready.iterdir()]) == HIGH)
            took = max(one.stat().st_mtime for one in ready.iterdir()) - began
            if witness.most > CAP:
                raise AssertionError(f"the cap of {CAP} was broken: {witness.most} ran")
        witness.wait(**{f"{MINE}-low": 0, f"{MINE}-high": 0})
        return took


def _frozen(witness: Witness) -> int:
    filters = {"label": f"{LABEL}={MINE}-high", "status": "paused"}
    return len(witness.client.containers(filters=filters))


def _until(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the containers are not ready")
        time.sleep(LOOK_EVERY_S)
