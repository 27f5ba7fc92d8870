"""Looks at the containers of a Docker engine, and calls of them."""

from __future__ import annotations

import base64
import io
import json
import math
import posixpath
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import docker
import requests
from docker.errors import APIError, create_api_error_from_http_exception

from microscaling.clients.docker.stat import LINK, PATH_STAT, memory_of, seconds_of
from microscaling.demand.drain import Activity, Busy, Call, Way
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.errors import NotReady, PermanentError, TemporaryError
from microscaling.scheduler.containers import http_call
from microscaling.scheduler.containers.busy_file import MAX_BYTES, activity_of, until_in
from microscaling.scheduler.docker.calls import asking, errors
from microscaling.scheduler.docker.hosts import Hosts
from microscaling.scheduler.docker.readiness import is_ready, states_of_programs

LOOK_S = 5.0
"""Deadline of a request that only looks."""
EXEC_S = 8.0
"""Deadline of a command in a container."""
POLL_S = (0.02, 0.3)
"""Shortest and longest interval at which its end is looked for."""
IDLE, BUSY = 0, 1
"""Exit codes of a probe."""
ENDED = (404, 409)
"""Answers for a container that is gone, or does not run any more."""
FOLDER = 1 << 31
"""The bit of a folder in the mode of a file, as Go has it."""
NO_CONTAINER = '{{"message":"No such container: {}"}}\n'
"""The answer of an engine if the container is missing."""
KEPT = 2000
"""Containers of which the time in the busy file is kept."""


class DockerLooks:
    """Looks and calls through a client, which `client` returns."""

    def __init__(self, client: Callable[[], docker.APIClient]) -> None:
        self._client = client
        self._hosts = Hosts(self._inspect, lambda: str(client().info()["Name"]))
        self._read: dict[str, tuple[object, float | None]] = {}
        """By id, the state of the busy file that was read last, and the time in it."""
        self._running: dict[str, str] = {}
        """By id, a command in the container that has not ended by its deadline."""

    def look(self, task: Task, busy: Busy, ids: Sequence[str]) -> Mapping[str, Activity]:
        """As in Backend."""
        with asking():
            if busy.source is not None:
                return self._hosts.activities(busy.source, ids)
            return {id: self._look(task, busy, id) for id in ids}

    def close(self) -> None:
        """Closes the connections to the sources of queues."""
        self._hosts.close()

    def call(self, task: Task, id: str, call: Call) -> None:
        """As in Backend."""
        with errors():
            if not call.exec:
                http_call.hook(self._address(task, id), call)
                return
            code = self._exec(id, call.exec)
        if code:
            raise PermanentError(f"the {call} has ended with code {code}")

    def check_ready(self, warm: Warm, id: str) -> None:
        """Returns if a container is ready. Raises NotReady."""
        # Not `asking`: a filter may refuse just this, and the engine is not away for it.
        with errors():
            try:
                self._check_ready(warm, id)
            except APIError as error:
                if error.status_code not in ENDED:
                    raise
                raise NotReady("it does not run") from error

    def put_file(self, path: str, id: str) -> None:
        """Puts an empty file into a container."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(posixpath.basename(path)))
        with errors():
            self._client().put_archive(id, posixpath.dirname(path), packed.getvalue())

    def memory(self, id: str) -> int:
        """Returns the memory of a container in use, bytes; 0 if the engine does not know it."""
        # Not `asking`, as above.
        with errors():
            # Without `one-shot` the engine would wait for a second measurement.
            options = {"stream": "false", "one-shot": "true"}
            answer = self._ask("get", f"containers/{id}/stats", params=options)
            self._check(answer)
            return memory_of(answer.json()) or 0

    def _check_ready(self, warm: Warm, id: str) -> None:
        if warm.stops:
            self._check_stopped(id)
        elif warm.after and not self._has_written(warm.after, id):
            raise NotReady(f"there is no {warm.after} in it")
        elif not warm.after and not is_ready(self._inspect(id), 0.0, math.inf):
            raise NotReady("it is not healthy, or has no health check and no open port")

    def _check_stopped(self, id: str) -> None:
        """Returns if the program of a container, a child of its init, has stopped itself. Raises NotReady."""
        answer = self._ask("get", f"containers/{id}/top", params={"ps_args": "-o pid,ppid,stat"})
        self._check(answer)
        if not answer.content:  # Podman says no more of one that has ended
            raise NotReady("it does not run")
        # Without an init the signal that is its go would not reach a child of PID 1 either.
        if not self._inspect(id)["HostConfig"].get("Init"):
            raise PermanentError("PID 1 of a container cannot stop itself: its service needs init: true")
        # T: stopped by a signal; t: by a debugger.
        states = states_of_programs(answer.json()["Processes"] or ())
        if not any(state.startswith("T") for state in states):
            raise NotReady("its program, the child of its init, has not stopped itself")

    def _has_written(self, path: str, id: str) -> bool:
        """True if a container has written a file, and not in an earlier life."""
        answer = self._ask("head", f"containers/{id}/archive", params={"path": path})
        if answer.status_code == requests.codes.not_found:
            return False
        self._check(answer)
        changed = seconds_of(json.loads(base64.b64decode(answer.headers[PATH_STAT]))["mtime"])
        ended = _time_of(self._inspect(id)["State"].get("FinishedAt"))
        return changed is not None and (ended is None or changed > ended)

    def _look(self, task: Task, busy: Busy, id: str) -> Activity:
        if busy.way is Way.FILE:
            return self._file(busy, id)
        if busy.way is Way.HTTP:
            return http_call.probe(self._address(task, id), busy.call)
        if busy.way is Way.CPU:
            return self._processor(busy, id)
        code = self._exec(id, busy.call.exec)
        if code not in (IDLE, BUSY):
            raise TemporaryError(f"the {busy.call} has ended with code {code}, and not with 0 or 1")
        return Activity.BUSY if code == BUSY else Activity.IDLE

    def _file(self, busy: Busy, id: str) -> Activity:
        answer = self._ask("head", f"containers/{id}/archive", params={"path": busy.path})
        # The engine's own clock and the file's are the same, the agent's may be another machine's.
        # Most looks end here: there is no file while a worker waits for a job.
        missing = answer.status_code == requests.codes.not_found
        if missing and _is_of_file(answer, id):
            return Activity.IDLE
        state = self._inspect(id)["State"]
        if not state.get("Running"):
            return Activity.UNKNOWN
        if missing:
            return Activity.IDLE
        self._check(answer)
        stat = json.loads(base64.b64decode(answer.headers[PATH_STAT]))
        changed, ended = seconds_of(stat["mtime"]), _time_of(state.get("FinishedAt"))
        if changed is None:
            return Activity.UNKNOWN
        now = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        return activity_of(changed, self._until(busy, id, stat), now, ended, busy.file_s)

    def _until(self, busy: Busy, id: str, stat: Mapping[str, Any]) -> float | None:
        """Returns the time in a busy file: as its content, or as the target of a symbolic link."""
        mode, size = int(stat.get("mode") or 0), int(stat.get("size") or 0)
        # A link needs no second request, as the engine shows its target at once.
        if mode & LINK:
            return until_in(posixpath.basename(str(stat.get("linkTarget"))).encode())
        if mode & FOLDER or not 0 < size <= MAX_BYTES:
            return None
        seen = (stat["mtime"], size)
        known = self._read.get(id)
        # It costs the engine as much as seventy looks, so only after a change.
        if known is None or known[0] != seen:
            answer = self._ask("get", f"containers/{id}/archive", params={"path": busy.path})
            if answer.status_code == requests.codes.not_found:
                return None
            self._check(answer)
            # Containers come and go for months; to read all of them anew is cheap.
            if len(self._read) >= KEPT:
                self._read.clear()
            known = self._read[id] = (seen, until_in(_content(answer.content)))
        return known[1]

    def _address(self, task: Task, id: str) -> str:
        inspected = self._inspect(id)
        mode = str(inspected["HostConfig"].get("NetworkMode") or "")
        # Several containers there would have one address, and one would answer for all.
        if mode == "host" and task.max_containers == 1:
            return "127.0.0.1"
        networks = (inspected["NetworkSettings"].get("Networks") or {}).values()
        found = [str(one["IPAddress"]) for one in networks if one and one.get("IPAddress")]
        if not found:
            raise PermanentError(f"container {id[:12]} has no address of its own (network {mode})")
        return found[0]

    def _processor(self, busy: Busy, id: str) -> Activity:
        # The engine itself waits for a second measurement.
        answer = self._ask("get", f"containers/{id}/stats", params={"stream": "false"})
        self._check(answer)
        stats = answer.json()
        begin, end = (_time_of(stats[name]) for name in ("preread", "read"))
        used = [int(stats[name]["cpu_usage"]["total_usage"]) for name in ("precpu_stats", "cpu_stats")]
        # The first measurement of a container that has just started has none before it.
        if begin is None or end is None or end <= begin:
            return Activity.UNKNOWN
        share = (used[1] - used[0]) / 1e9 / (end - begin)
        return Activity.BUSY if share > busy.share else Activity.IDLE

    def _exec(self, id: str, words: Sequence[str]) -> int:
        """Runs a command in a container; returns its exit code. Raises TemporaryError at its deadline."""
        client = self._client()
        last = self._running.get(id)
        # However often a command that hangs is asked for, there is only one.
        if last is None or not client.exec_inspect(last)["Running"]:
            last = str(client.exec_create(id, list(words))["Id"])
            # Attached, its output could keep the request open beyond any deadline.
            client.exec_start(last, detach=True)
            self._running[id] = last
        deadline, pause = time.monotonic() + EXEC_S, POLL_S[0]
        while time.monotonic() < deadline:
            ended = client.exec_inspect(last)
            if not ended["Running"] and ended.get("ExitCode") is not None:
                self._running.pop(id, None)
                return int(ended["ExitCode"])
            time.sleep(pause)
            pause = min(2 * pause, POLL_S[1])
        raise TemporaryError(f"the command {words[0]} takes longer than {EXEC_S:g} s")

    def _inspect(self, id: str) -> Mapping[str, Any]:
        answer = self._ask("get", f"containers/{id}/json")
        self._check(answer)
        found: Mapping[str, Any] = answer.json()
        return found

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        client = self._client()
        url = f"{client.base_url}/v{client.api_version}/{path}"
        answer: requests.Response = getattr(client, method)(url, timeout=LOOK_S, **options)
        return answer

    def _check(self, answer: requests.Response) -> None:
        """Raises the library's error for a bad status."""
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)


def _is_of_file(answer: requests.Response, id: str) -> bool:
    """True if a 404 is certain to be that of the file, and not of the container."""
    # An answer to HEAD has no body, but its length: only the message about the file is longer.
    return int(answer.headers.get("Content-Length") or 0) > len(NO_CONTAINER.format(id))


def _content(archive: bytes) -> bytes:
    """Returns the content of the one file in an archive; empty if it is none."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        first = files.next()
        file = files.extractfile(first) if first is not None and first.isreg() else None
        return file.read(MAX_BYTES + 1) if file is not None else b""


def _time_of(text: object) -> float | None:
    """Returns Unix seconds; None for the engine's word for "never"."""
    return None if str(text).startswith("0001-") else seconds_of(text)
