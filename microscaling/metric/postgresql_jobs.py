"""Queues of job frameworks in PostgreSQL: one statement for all tasks of a framework."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric, checked
from microscaling.metric.database import DatabaseSource, Question, Refused, Run
from microscaling.metric.missing import Hint
from microscaling.metric.postgresql import FORM, POSTGRESQL, check_url
from microscaling.plugins import Field
from microscaling.utils.text import short

NO_TABLE = ("42P01", "3F000")
NO_COLUMN = "42703"
NO_RIGHT = "42501"
"""Of PostgreSQL's "Error Codes" (appendix A of its documentation)."""
MAX_NAMES = 100

URL = Field("url", "URL", kind="url", required=True, secret=True, wide=True, check=check_url, hint=FORM)
"""The field of every framework in PostgreSQL."""
SCHEMA = Field("schema", "Schema", hint="of its tables; empty: the search path of the user")

UTC = "(now() AT TIME ZONE 'UTC')"
"""The time in columns without a zone, as those of Rails and Ecto are."""
ADVISORY_LOCKS = """
SELECT classid::bigint << 32 | objid::bigint AS key FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""The keys of the advisory locks that sessions have in this database, of one bigint each."""
NAMES = "SELECT DISTINCT {column} FROM {table} LIMIT 100"  # as MAX_NAMES
COLUMNS = """
count(*) FILTER (WHERE {waiting}), count(*) FILTER (WHERE {running}), count(*) FILTER (WHERE {stuck}),
count(*) FILTER (WHERE {future})"""
"""The counts of a statement, by the conditions for a job of each state."""


class TableJobsMetric(Metric):
    """A queue of a job framework (items). A subclass has the statement that counts the jobs.

    Raises ConfigError.
    """

    may_be_missing = True
    table: ClassVar[str]
    """The table of its jobs."""
    column: ClassVar[str]
    """The column with the names of queues, in that table, or in `of_queues`."""
    of_queues: ClassVar[str] = ""
    """The table of its queues, if there is one."""
    created_by: ClassVar[str]
    """The way to create the table, for messages."""
    channel: str = ""
    """The channel in which there is a notification of each new job; empty: there is none."""

    def __init__(self, url: str, queue: str, schema: str = "", *more: Hashable) -> None:
        check_url(url)
        if not queue:
            raise ConfigError("queueName: is missing")
        self.queue = queue
        self.schema = schema
        self.key = (self.type_name, schema, *more)
        """Metrics with equal keys have one statement."""
        self.source = DatabaseSource(url, POSTGRESQL, Jobs(self))

    @abstractmethod
    def statement(self) -> str:
        """Returns the statement for the queues in the array %(queues)s. Each row has the name of a queue; its
        jobs that wait, run, are stuck, and are for later; whether it is paused; the age of the oldest
        waiting job (seconds, NULL: not known). A queue without a row does not exist."""

    def names(self) -> str:
        """Returns the statement for the names of all queues, asked once if one was never there."""
        return NAMES.format(column=self.column, table=self.named(self.of_queues or self.table))

    def named(self, table: str) -> str:
        """Returns the name of a table, with its schema, for a statement with values."""
        return f"{quoted(self.schema)}.{quoted(table)}" if self.schema else quoted(table)

    def read(self, answer: Any) -> int | Measurement:
        # Without an entry the request was under way before this queue was added.
        found = answer.get(self.key) or MetricError(f"{self.what}: not measured yet")
        if isinstance(found, MetricError):
            raise found
        # The statement may have been asked before this queue was added to it.
        if self.queue not in found.asked:
            raise MetricError(f"{self.what}: not measured yet")
        measured: Measurement | None = found.by_queue.get(self.queue)
        if measured is None and self.missing == "held":
            return self.absent(f"{self.what}: there is no such queue in {self.source_name}")
        return measured or Measurement(0, 0)

    @property
    def what(self) -> str:
        """The framework and the queue, for messages."""
        return f"{self.type_name} queue {short(self.queue)}"

    @property
    def source_name(self) -> str:
        """The name of the server for messages."""
        return self.source.name if self.source is not None else ""


class Counted:
    """The answer for all queues of one framework."""

    def __init__(self, asked: Sequence[str], by_queue: Mapping[str, Measurement]) -> None:
        self.asked = asked
        self.by_queue = by_queue


class Jobs(Question):
    """One statement for the queues of all tasks with the same framework and schema."""

    def __init__(self, metric: TableJobsMetric) -> None:
        self.key = metric.key
        self.channel = metric.channel
        self.queues: tuple[str, ...] = (metric.queue,)
        self._metric = metric
        self._hints: dict[str, Hint] = {}

    def also(self, other: Question) -> None:
        if isinstance(other, Jobs):
            self.queues = tuple(dict.fromkeys([*self.queues, *other.queues]))

    def ask(self, run: Run) -> Counted:
        asked = self.queues  # another thread may add some meanwhile
        try:
            rows = run(self._metric.statement(), {"queues": [*asked]}, len(asked))
        except Refused as error:
            raise MetricError(self._reason(error)) from None
        by_queue = {str(row[0]): _measurement(row) for row in rows}
        for queue in asked:
            self._look_for_others(queue, queue in by_queue, run)
        return Counted(asked, by_queue)

    def _look_for_others(self, queue: str, exists: bool, run: Run) -> None:
        """Logs once, for a queue that has never existed, the names of those that do."""
        what = f"{self._metric.source_name}: the {self._metric.type_name} queue"
        hint = self._hints.setdefault(queue, Hint(what, queue))
        if hint.is_due(exists):
            try:
                hint.give_all({str(row[0]) for row in run(self._metric.names(), {}, MAX_NAMES)})
            except Refused:
                return  # only the hint fails

    def _reason(self, error: Refused) -> str:
        metric = self._metric
        # PostgreSQL names the table, but neither the framework nor what to do.
        if error.code in NO_TABLE:
            place = (
                f"the schema {short(metric.schema)}"
                if metric.schema
                else "the schemas that the user looks in"
            )
            return (
                f"{metric.type_name}: {error} in this database: {metric.created_by} creates it; else the "
                f"database in `url`, or `schema`, is another one ({place} was looked in)"
            )
        if error.code == NO_RIGHT:
            return f"{metric.type_name}: {error}: GRANT USAGE on its schema, and SELECT on its tables"
        if error.code == NO_COLUMN:
            return f"{metric.type_name}: {error}: the tables are those of a version that is not known here"
        return f"{metric.type_name}: {error}"


def quoted(name: str) -> str:
    """Returns an identifier for a statement with values."""
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def _measurement(row: tuple[Any, ...]) -> Measurement:
    """Returns the jobs in a row of a statement. Raises MetricError."""
    _, waiting, running, stuck, future, paused, oldest_s = row
    age_s = None if oldest_s is None else max(0.0, float(oldest_s))
    return checked(Measurement(waiting, running, stuck, future, bool(paused), age_s))
