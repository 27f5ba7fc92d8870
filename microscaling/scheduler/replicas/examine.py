"""`microscaling check` of a lease: whether it can be read and written, and who has it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from microscaling.errors import MicroscalingError
from microscaling.scheduler.replicas.lease import BEAT_S, CALL_S, LEASE_S, LeaseStore, Record
from microscaling.utils.finding import Finding, error, ok
from microscaling.utils.text import quoted


def examine_lease(store: LeaseStore, name: str) -> Iterator[Finding]:
    """Yields the finding about a lease; changes nothing. An agent that has died is told from one that lives
    by some seconds without a new version."""
    about = f"MSS_LEASE={name} ({store.name})"
    done = "read"
    try:
        record = store.read(time.monotonic() + CALL_S)
        done = "written"
        store.try_write(record, time.monotonic() + CALL_S)
        held = record is not None and record.holder and _is_renewed(store, record)
    except MicroscalingError as failure:
        yield error(f"{about}: cannot be {done}: {failure}; one agent alone does without it: MSS_LEASE=none")
        return
    if held and record is not None:
        yield ok(f"{about}: agent {quoted(record.holder)} has it, and another one would stand by")
    else:
        yield ok(f"{about}: no agent has it")


def _is_renewed(store: LeaseStore, record: Record) -> bool:
    """True if the holder still writes the record. Raises MicroscalingError."""
    until = time.monotonic() + LEASE_S
    while time.monotonic() < until:
        now = store.read(time.monotonic() + CALL_S)
        if now is None or now.version != record.version:
            return True
        time.sleep(BEAT_S)
    return False
