"""Watches the file of the configuration, for MSS_RELOAD=watch."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils.threads import StoppableThread

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

log = logging.getLogger("mssconfig")

STILL_S = 0.3
"""Seconds without a further change: an editor or a ConfigMap makes several for one."""
AGAIN_S = 5.0
"""Seconds between two looks at a folder that cannot be watched."""
READS = frozenset({"opened", "closed_no_write"})
"""Kinds of events that change nothing; our own reading of the file is one."""


class FileWatch(StoppableThread):
    """Sets `changed` when the file at `path` has other contents, or another file is at its place."""

    # The folder is watched and not the file: editors put a new file in its place, and of a ConfigMap only a
    # link beside it changes.
    def __init__(self, path: str, changed: threading.Event) -> None:
        super().__init__("mss-watch")
        self.path = os.path.abspath(path)
        self.changed = changed
        self._stirred = threading.Event()
        self._observer: BaseObserver | None = None
        self._seen = _state(self.path)
        self._failed = False

    def stop(self) -> None:
        super().stop()
        self._stirred.set()

    def cycle(self) -> None:
        if self._observer is None and not self._watch():
            self.stopped.wait(AGAIN_S)
        elif not self._stirred.wait(AGAIN_S) and not (self._observer and self._observer.emitters):
            self._end()  # the folder itself was replaced, which ends the watch in silence
        while self._stirred.is_set() and not self.stopped.is_set():
            self._stirred.clear()
            self.stopped.wait(STILL_S)
        seen = _state(self.path)
        # Without the file the old configuration stays: it may be about to be replaced.
        if seen != self._seen and seen is not None:
            self._seen = seen
            log.info("%s has changed: it is read again", self.path)
            self.changed.set()

    def on_exit(self) -> None:
        self._end()

    def _watch(self) -> bool:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            """Takes the events of the folder, in the library's thread."""

            def on_any_event(handler, event: FileSystemEvent) -> None:
                """Takes one that is no reading, such as our own."""
                if event.event_type not in READS:
                    self._stirred.set()

        observer = Observer()
        try:
            observer.schedule(Handler(), os.path.dirname(self.path))
            observer.start()
        except OSError as error:
            if not self._failed:
                log.warning("MSS_RELOAD=watch: the folder of %s cannot be watched (%s): looking at it every "
                            "%g s", self.path, error, AGAIN_S)  # fmt: skip
            self._failed = True
            return False
        self._observer = observer
        return True

    def _end(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join(1.0)


def _state(path: str) -> tuple[int, ...] | None:
    """Returns what differs between two versions of a file; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def watched_file(settings: Settings) -> str:
    """Returns the path of the file to watch; "" if none is. Raises ConfigError if it cannot be watched."""
    if settings.reload != "watch":
        return ""
    if settings.config != "FILE":
        raise ConfigError(
            f"MSS_RELOAD: watch is for MSS_CONFIG=FILE: with {settings.config} leave it out, and use "
            "SIGHUP or microscaling reload"
        )
    path = settings.config_file
    try:
        import watchdog.observers  # noqa: F401
    except ImportError:
        raise ConfigError("MSS_RELOAD: watch needs an extra: pip install '.[watch]' in the clone") from None
    if os.path.ismount(path):
        log.warning(
            "MSS_RELOAD=watch: %s is mounted as a single file, whose changes go unnoticed: mount its folder",
            path,
        )
    return path
