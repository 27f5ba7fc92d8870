"""Notifications of PostgreSQL: they bring a look before the next beat."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
from collections.abc import Callable, Collection
from typing import Any

from microscaling.utils.text import cause_of
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssmetric")

NAME = "microscaling"
CONNECT_S = 3
LOOK_S = 5.0
"""Time after which new channels are listened to."""
RETRY_S = 10.0
SCHEMA = "{schema}"
"""In a channel: the first schema of the user's search path."""


class Listener(StoppableThread):
    """Listens on a connection of its own, and calls `news` at each notification.

    `channels`: returns the channels to listen to. Whatever fails is tried again after a while, silently: all
    is measured at each beat all the same.
    """

    def __init__(
        self, name: str, url: str, channels: Callable[[], Collection[str]], news: Callable[[], None]
    ) -> None:
        super().__init__(f"notifications of {name}")
        self._source = name
        self._url = url
        self._channels = channels
        self._news = news
        self._connection: Any = None

    def stop(self) -> None:
        super().stop()
        # Only shut down: another file could get the number of one that is closed while it is waited for.
        with contextlib.suppress(Exception), socket.socket(fileno=os.dup(self._connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    def cycle(self) -> None:
        import psycopg

        try:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                prepare_threshold=None,
                fallback_application_name=NAME,
                connect_timeout=CONNECT_S,
            )
            self._listen()
        except Exception as error:  # any type, as those of the source itself
            log.debug("%s: no notifications: %s", self._source, cause_of(error))
        finally:
            if self._connection is not None:
                self._connection.close()
        self.rest(RETRY_S)

    def _listen(self) -> None:
        connection, heard = self._connection, set[str]()
        [(pid, schema)] = connection.execute("SELECT pg_backend_pid(), current_schema()").fetchall()
        # A pool answers in place of the server, and gives each transaction another session: LISTEN would stay
        # behind in one of them, and its notifications would go to the next client.
        if pid != connection.info.backend_pid:
            log.info(
                "%s: is behind a pool, which passes no notifications on: looked at every beat only",
                self._source,
            )
            super().stop()
            return
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        while not self.stopped.is_set():
            for channel in {*self._channels()} - heard:
                self._hear(channel.replace(SCHEMA, schema or ""))
                heard.add(channel)
            # By the socket, as the library would look for a notification ten times a second.
            if waiting.poll(LOOK_S * 1000) and [*connection.notifies(timeout=0)]:
                self._news()

    def _hear(self, channel: str) -> None:
        from psycopg import sql

        self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
