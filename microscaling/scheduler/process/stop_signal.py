"""The signal that asks a process to end, from a task's `stop_signal`."""

from __future__ import annotations

import re
import signal

from microscaling.demand.task import Task

RELATIVE = re.compile(r"(RTMIN|RTMAX)(?:([+-][0-9]{1,2}))?")


def stop_signal(task: Task) -> int:
    """Returns the number of the signal; SIGTERM if there is none, or none that this system has."""
    text = str(task.container.request.get("StopSignal") or "").upper().removeprefix("SIG")
    if text.isdecimal():
        return int(text) if int(text) in signal.valid_signals() else signal.SIGTERM
    found = RELATIVE.fullmatch(text)
    base = getattr(signal, f"SIG{found[1] if found else text}", signal.SIGTERM)
    number = int(base) + int((found[2] if found else "") or 0)
    # A real-time signal beyond the range of this system would be an error at each stop.
    return number if number in signal.valid_signals() else signal.SIGTERM
