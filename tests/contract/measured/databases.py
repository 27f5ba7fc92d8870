"""Queries to database servers."""

from __future__ import annotations

from typing import Any

from microscaling.metric.base import Metric
from microscaling.metric.sql import SQLMetric
from tests.contract.measured.base import Remote
from tests.metric.proxy import OF_ANY
from tests.services.mariadb import MariaDB
from tests.services.postgresql import PostgreSQL


class OfServer(Remote):
    type_name = "SQL"
    faults = OF_ANY
    server_of: type[Any]

    def start(self) -> None:
        self.server = self.stack.enter_context(self.server_of(self.folder))
        self.url = self.server.url
        with self.server.client() as client, client.cursor() as cursor:
            cursor.execute("CREATE TABLE jobs (id INT)")

    @property
    def address(self) -> str:
        return str(self.server.address)

    def metric(self) -> Metric:
        return SQLMetric(self.way, "SELECT count(*) FROM jobs")

    def set(self, count: int) -> None:
        with self.server.client() as client, client.cursor() as cursor:
            cursor.execute("DELETE FROM jobs")
            for _ in range(count):
                cursor.execute("INSERT INTO jobs VALUES (1)")


class SQLOfPostgreSQL(OfServer):
    server_of = PostgreSQL


class SQLOfMariaDB(OfServer):
    server_of = MariaDB


KINDS = (
    SQLOfPostgreSQL,
    SQLOfMariaDB,
)
