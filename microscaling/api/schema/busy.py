"""Reads the keys by which busy containers are distinguished from idle ones."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from microscaling.api.schema.call import SHAPE, read_call
from microscaling.api.schema.drain import DRAIN, read_drain
from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.together import HOST
from microscaling.demand.container import ContainerOptions
from microscaling.demand.drain import FILE_S, Busy, Drain, Way
from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.consumers.choice import consumers_of

MAX_FILE_S = 7 * 86400.0
MIN_SHARE, MAX_SHARE = 0.001, 4096.0
HIDDEN = ("/dev/shm", "/proc", "/sys", "/run/secrets")  # nosec B108  # refused, not used
"""Folders that an engine does not show: a busy file in there would never be seen."""
UNSEEN = (
    "is below {}, which an engine does not show: a busy container would seem to be idle; use a path on the "
    "container's own disk or on a volume"
)
FILE = Key(
    "busyFile",
    "Busy file",
    meaning="a container is busy while it has this file; with `MSS_SCHEDULER=PROCESS` a path with `{number}` "
    "in it; docs/long-jobs.md",
    hint="/var/busy",
    shape={"pattern": "^/"},
)
FILE_S_KEY = Key(
    "busyFileMaxSeconds",
    "Busy file, at most",
    kind="number",
    default=FILE_S,
    least=1,
    most=MAX_FILE_S,
    meaning="a busy file without a time in it counts for so long after its last change",
)
PROBE = Key(
    "busyProbe",
    "Busy probe",
    kind="shape",
    meaning="`{exec: [...]}` in the container: exit code 0 is idle, 1 busy; or `{http: {port: 8080, path: "
    "/busy}}`: 2xx is idle, 503 or 409 busy",
    shape=SHAPE,
)
CPU = Key(
    "busyCpu",
    "Busy processor",
    kind="number",
    most=MAX_SHARE,
    default_in_words="none",
    meaning="a container is busy while it uses more processors than this: `0.05`",
    shape={"minimum": MIN_SHARE},
)
BY_SOURCE = Key(
    "busy",
    "Busy by",
    default_in_words="none",
    meaning="`source`: a container is busy while the source of the task's queue has a job of its consumer; "
    "with NSQ, RQ, Celery, RedisStream, Sidekiq, Asynq and RabbitMQ. `none`: no sign, where services of "
    "Compose would have `source` by themselves",
    shape={"enum": ["source", "none"]},
)
KEYS = (FILE, FILE_S_KEY, PROBE, BY_SOURCE, CPU, DRAIN)
"""Keys of `config` for the end of a container that may be busy."""
WAYS = (FILE, PROBE, BY_SOURCE, CPU)
IMAGE = "image"
SOURCE, NONE = "source", "none"


def read_busy(
    config: Section, most: int, mode: str, options: ContainerOptions, metric: Metric
) -> tuple[Busy | None, Drain | None]:
    """Reads these keys. `most`: the task's maximum of containers; `mode`: their network."""
    given = [key for key in WAYS if config.take(key.key) is not None]
    # The first would win, and the person who wrote the second would wonder.
    for key in given[1:]:
        what = f"{given[0].key} is given too: a container is busy by one sign only; leave one out"
        config.notes.problem(config.at(key.key), what)
    found = {key.key: _read(key, config, options, metric) for key in WAYS}
    busy = next((way for way in found.values() if way is not None), None)
    drain = read_drain(config)
    if busy is None and config.take(FILE_S_KEY.key) is not None and FILE not in given:
        config.notes.problem(config.at(FILE_S_KEY.key), f"means nothing without {FILE.key}: leave it out")
    _check_requests(config, busy, drain, most, mode)
    _check_source(config, busy, mode)
    # Without a way to find out, `drain` alone waits for the end of each container.
    return busy, drain or (Drain() if busy else None)


def implied_busy(metric: Metric) -> tuple[Busy | None, Drain | None]:
    """Returns the sign and the drain of a task without any of these keys: the source of its queue, if that
    shows its consumers."""
    try:
        source = consumers_of(metric)
    except ConfigError:
        return None, None
    # By addresses too much depends on the network to do it unasked.
    return (None, None) if source.by_address else (Busy(Way.SOURCE, source=source, implied=True), Drain())


def given_keys(config: Section) -> tuple[str, ...]:
    """Returns the keys that are given."""
    return tuple(key.key for key in KEYS if config.take(key.key) is not None)


def _read(key: Key, config: Section, options: ContainerOptions, metric: Metric) -> Busy | None:
    if key is FILE:
        return _file(config, options)
    if key is BY_SOURCE:
        return _source(config, options, metric)
    if config.take(key.key) is None:
        return None
    if key is CPU:
        return Busy(
            Way.CPU, share=config.number(key.key, MIN_SHARE, MAX_SHARE, "a number of processors", MIN_SHARE)
        )
    if not isinstance(config.take(key.key), dict):
        config.wrong(key.key, "an object with exec or http", config.take(key.key))
        return None
    call = read_call(config.section(key.key))
    return None if call is None else Busy(Way.EXEC if call.exec else Way.HTTP, call=call)


def _source(config: Section, options: ContainerOptions, metric: Metric) -> Busy | None:
    # Read even if it is absent, so that it counts as a known key.
    value = config.text(BY_SOURCE.key)
    if config.take(BY_SOURCE.key) is None:
        return None
    if value == NONE:
        return None
    if value != SOURCE:
        config.wrong(BY_SOURCE.key, f"{SOURCE} or {NONE}", value)
    elif "Hostname" in options.request:
        config.notes.problem(
            config.at(BY_SOURCE.key),
            "the consumers are known by their host names, and with hostname all containers have one: leave "
            "that out",
        )
    else:
        try:
            return Busy(Way.SOURCE, source=consumers_of(metric))
        except ConfigError as error:
            config.notes.problem(config.at(BY_SOURCE.key), f"{error}: use busyFile or busyProbe")
    return None


def _check_source(config: Section, busy: Busy | None, mode: str) -> None:
    by_address = busy is not None and busy.source is not None and busy.source.by_address
    if by_address and mode == HOST and config.take(IMAGE) is not None:
        config.notes.problem(
            config.at(BY_SOURCE.key),
            "the consumers are known by their addresses, and on the host's network all have one: add "
            '"networkMode": "bridge", or networks; or use busyFile or busyProbe',
        )


def _file(config: Section, options: ContainerOptions) -> Busy | None:
    path = config.text(FILE.key)
    seconds = config.number(FILE_S_KEY.key, FILE_S, MAX_FILE_S, "a number of seconds", 1.0)
    if config.take(FILE.key) is None:
        return None
    if not path.startswith("/") or path.endswith("/") or posixpath.normpath(path) != path:
        config.notes.problem(
            config.at(FILE.key), f"expected the absolute path of a file in the container, got {shown(path)}"
        )
    elif hidden := hidden_by(path, options):
        config.notes.problem(config.at(FILE.key), UNSEEN.format(hidden))
    return Busy(Way.FILE, path=path, file_s=seconds)


def hidden_by(path: str, options: ContainerOptions) -> str:
    """Returns the folder in memory that a path is below; "" if there is none."""
    # An engine looks at the disk of the container, where these are empty folders.
    in_memory = [mount.target for mount in options.mounts if mount.kind == "tmpfs"]
    in_memory += options.request.get("HostConfig.Tmpfs", {})
    return below(path, (*HIDDEN, *in_memory))


def below(path: str, folders: Iterable[str]) -> str:
    """Returns the folder that a path is in; "" if it is in none."""
    return next((at for at in folders if path == at or path.startswith(f"{at.rstrip('/')}/")), "")


def _check_requests(config: Section, busy: Busy | None, drain: Drain | None, most: int, mode: str) -> None:
    """Notes a problem for each request that would reach another container."""
    hook = drain.hook if drain is not None else None
    asked = {PROBE.key: busy.call if busy is not None else None, f"{DRAIN.key}.hook": hook}
    for place, call in asked.items():
        # Only a container with an image has its network here: a service has its own.
        is_ours = config.take(IMAGE) is not None
        if call is not None and call.port and mode == HOST and most > 1 and is_ours:
            config.notes.problem(
                config.at(place),
                "each container is asked at its own address, and on the host's network all have one: add "
                '"networkMode": "bridge", or networks; or use exec',
            )
