"""Queries to PostgreSQL and MySQL: what is a number, what goes wrong, and what is left in the server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric
from microscaling.metric.sql import SQLMetric
from tests.metric.proxy import OF_ANY, Proxy
from tests.services.mariadb import MariaDB
from tests.services.postgresql import PgBouncer, PostgreSQL
from tests.services.service import wait_for

pytest.importorskip("psycopg", reason="psycopg is not here: pip install '.[postgresql]'")
pytest.importorskip("pymysql", reason="PyMySQL is not here: pip install '.[mysql]'")

COUNT = "SELECT count(*) FROM jobs WHERE taken = 0"
ROWS = "INSERT INTO jobs VALUES (0, 'a'), (0, 'b'), (1, 'c')"
KINDS = (PostgreSQL, MariaDB)


class Database:
    """A server with the table `jobs`."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.url: str = server.url
        self.is_mysql = isinstance(server, MariaDB)

    def do(self, *statements: str) -> Any:
        """The rows of the last one."""
        with self.server.client() as client, client.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None


@pytest.fixture(scope="module", params=KINDS, ids=[kind.__name__ for kind in KINDS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with request.param(tmp_path_factory.mktemp("database")) as server:
        yield server


@pytest.fixture
def database(server: Any) -> Database:
    database = Database(server)
    database.do("DROP TABLE IF EXISTS jobs", "CREATE TABLE jobs (taken INT, name VARCHAR(9))", ROWS)
    return database


Made = Callable[..., SQLMetric]


@pytest.fixture
def made() -> Iterator[Made]:
    """Makes metrics, and closes them."""
    all_made: list[SQLMetric] = []

    def make(url: str, query: str = COUNT) -> SQLMetric:
        all_made.append(SQLMetric(url, query))
        return all_made[-1]

    yield make
    for metric in all_made:
        assert metric.source
        metric.source.close()


def measured(metric: Metric) -> int:
    metric.update()
    return metric.current


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (COUNT, 2),
        ("SELECT sum(taken) FROM jobs", 1),  # a Decimal
        ("SELECT avg(taken) FROM jobs", 1),  # 0.333..., rounded up
        ("SELECT coalesce(sum(taken), 0) FROM jobs WHERE taken > 5", 0),
        ("SELECT 9007199254740992", 2**53),
        ("SELECT '12'", 12),
        ("SELECT 1.5e3", 1500),
        (COUNT + "; -- the end", 2),
        ("SELECT 7 % 4", 3),
        ("SELECT count(*) FROM jobs WHERE name LIKE '%a%'", 1),
    ],
)
def test_one_number(query: str, value: int, database: Database, made: Made) -> None:
    assert measured(made(database.url, query)) == value


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT count(*) FROM job", "(relation \"job\" does|Table 'jobs.job' does)n't exist|does not exist"),
        ("SELEC", "syntax"),
        ("SELECT taken FROM jobs WHERE taken = 2", "yields no row; expected one number"),
        ("SELECT taken FROM jobs", "more than one row"),
        ("SELECT a.taken FROM jobs a, jobs b, jobs c, jobs d, jobs e, jobs f, jobs g", "more than one row"),
        ("SELECT 1, 2", "more than one value"),
        ("SELECT max(taken) FROM jobs WHERE taken = 2", r"yields NULL; coalesce\(\.\.\., 0\) makes 0 of it"),
        ("SELECT name FROM jobs WHERE taken = 1", "expected a whole number, got 'c'"),
        ("SELECT -1", "-1 is out of range .*; atLeast: 0 counts it as 0"),
        ("SELECT 9007199254740993", "out of range"),
        ("SELECT 1; SELECT 2", "syntax|multiple commands"),
        ("DELETE FROM jobs", "(?i)read.only"),
        ("CREATE TABLE others (id INT)", "(?i)read.only"),
    ],
)
def test_anything_else_is_an_error_and_the_next_answer_counts(
    query: str, said: str, database: Database, made: Made
) -> None:
    with pytest.raises(MetricError, match=said) as caught:
        measured(made(database.url, query))
    assert str(caught.value).startswith(
        ("PostgreSQL at postgresql://127", "MySQL at mysql://127", "the query's")
    )
    assert "s3cret" not in str(caught.value)
    assert measured(made(database.url)) == 2
    assert database.do("SELECT count(*) FROM jobs")[0][0] == 3


def test_each_answer_is_of_now(database: Database, made: Made) -> None:
    metric = made(database.url)
    assert measured(metric) == 2
    database.do(ROWS)
    assert measured(metric) == 4
    clock = made(database.url, "SELECT extract(second FROM now()) * 1000000" if not database.is_mysql else
                 "SELECT microsecond(now(6)) + second(now(6)) * 1000000")  # fmt: skip
    assert measured(clock) != measured(clock)


def test_all_tasks_of_a_database_share_one_connection_and_fail_alone(database: Database) -> None:
    queries = [COUNT, "SELECT count(*) FROM job", "SELECT 5", COUNT]
    metrics = [SQLMetric(database.url, query) for query in queries]
    [poll] = Readings([Task(str(i), metric=metric) for i, metric in enumerate(metrics)], 1.5).polls
    try:
        for _ in range(3):
            answer = poll.source.fetch()
            assert [metrics[i].read(answer) for i in (0, 2, 3)] == [2, 5, 2]
            with pytest.raises(MetricError, match="exist"):
                metrics[1].read(answer)
        with pytest.raises(MetricError, match="not measured yet"):
            SQLMetric(database.url, "SELECT 6").read(answer)
        assert connections(database) == 1
    finally:
        poll.source.close()


def connections(database: Database) -> int:
    """Those of the agent."""
    if database.is_mysql:
        query = (
            "SELECT count(*) FROM information_schema.processlist WHERE id <> connection_id() AND db = 'jobs'"
        )
    else:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'microscaling'"
    return int(database.do(query)[0][0])


def test_a_slow_query_is_ended_by_the_server_and_takes_the_time_of_no_other(database: Database) -> None:
    slow = "SELECT sleep(30)" if database.is_mysql else "SELECT 1 FROM pg_sleep(30)"
    metrics = [SQLMetric(database.url, query) for query in (slow, COUNT)]
    [poll] = Readings([Task(str(i), metric=metric) for i, metric in enumerate(metrics)], 1.5).polls
    poll.source.limit(0.5)
    running = (
        "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep%'"
        if database.is_mysql
        else "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT 1 FROM%'"
    )
    try:
        answers: list[Any] = []

        def fetched() -> bool:
            """Whether the quick one has its answer; a busy machine needs more tries even for that."""
            try:
                answers.append(poll.source.fetch())
                return metrics[1].read(answers[-1]) == 2
            except MetricError:
                return False

        wait_for(fetched, "the slow one is not asked last")
        with pytest.raises(MetricError, match=r"time-?out|no complete answer|interrupted|max_statement_time"):
            metrics[0].read(answers[-1])
        wait_for(lambda: not database.do(running)[0][0], "it runs on in the server")
    finally:
        poll.source.close()


@pytest.mark.parametrize("fault", OF_ANY)
def test_a_fault_while_it_connects_is_an_error_in_time_and_the_next_answer_counts(
    fault: str, database: Database, made: Made
) -> None:
    address = database.server.address
    with Proxy(address) as proxy:
        metric = made(database.url.replace(address, proxy.endpoint))
        assert metric.source
        metric.source.limit(2.0)
        begun = time.monotonic()
        with proxy.broken(OF_ANY[fault]), pytest.raises(MetricError) as caught:
            metric.update()
        assert time.monotonic() - begun < 10, "what hangs or drips is well again after 12 s"
        assert str(caught.value).isprintable()
        metric.source.limit(60.0)
        deadline = time.monotonic() + 60
        while True:
            try:
                assert measured(metric) == 2
                break
            except MetricError:
                assert time.monotonic() < deadline


def test_wrong_credentials_are_an_error_without_them(database: Database, made: Made) -> None:
    metric = made(database.url.replace("s3cret", "secrethorse"))
    with pytest.raises(MetricError, match=r"(?i)password authentication failed|access denied") as caught:
        metric.update()
    assert "horse" not in str(caught.value)


def test_a_server_that_is_away_and_comes_back(database: Database, made: Made) -> None:
    metric = made(database.url)
    assert measured(metric) == 2
    if database.is_mysql:
        # Earlier connections of the test are there for a moment longer than it has them.
        wait_for(lambda: connections(database) == 1)
        [[number]] = database.do(
            "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = 'jobs'"
        )
        database.do(f"KILL {number}")
    else:
        database.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'microscaling'"
        )
    with pytest.raises(MetricError):
        metric.update()
    assert measured(metric) == 2


def test_a_pool_keeps_nothing_of_ours(tmp_path: Path, made: Made) -> None:
    """In PgBouncer's mode `transaction` the next one gets the same session."""
    import psycopg

    with PostgreSQL(tmp_path) as server, PgBouncer(tmp_path, server) as pool:
        with server.client() as client:
            client.execute("CREATE TABLE jobs (taken INT)")
        metric = made(pool.url)
        for count in range(8):  # prepared statements would be made at the sixth
            assert measured(metric) == count
            with psycopg.connect(pool.url, autocommit=True, prepare_threshold=None) as app:
                app.execute("INSERT INTO jobs VALUES (0)")
                timeout = app.execute("SHOW statement_timeout").fetchone()
            assert timeout == ("0",)
        with pytest.raises(MetricError, match="read-only"):
            measured(made(pool.url, "DELETE FROM jobs"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:pass/word@db/jobs", "expected postgresql://user:password@host:5432/database"),
        ("postgresql://me:pass@db/jobs?sslmod=require", "an option that libpq does not know"),
        ("postgresql://me:pass@db/jobs#x", "a # in it"),
        (
            "mysql://me:pass@db/jobs?ssl-mod=required",
            "the option ssl_mod is not known here; known are ssl_mode",
        ),
        ("mysql://me:pass@db/jobs?ssl-mode=sure", "ssl-mode sure is none of disabled, preferred, required"),
        ("mysql://me:pass@db/jobs?ssl_ca=/nowhere", "ssl-ca, ssl-cert and ssl-key: .*No such file"),
        ("mysql:///jobs", "expected mysql://user:password@host:3306/database"),
    ],
)
def test_bad_url(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        SQLMetric(url, COUNT)
    assert "pass@" not in str(caught.value)
    assert "word@db" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://me:x@db/jobs",
        "postgres://db",
        "postgresql:///jobs?host=/run/postgresql",
        "postgresql://%2Frun%2Fpostgresql/jobs",
        "postgresql://me:x@one:5432,two:5433/jobs?target_session_attrs=read-write&sslmode=verify-full",
        "mysql+pymysql://me:x@db/jobs?charset=utf8mb4",
        "MariaDB://db:3307",
    ],
)
def test_good_url(url: str) -> None:
    SQLMetric(url, COUNT)


@pytest.mark.parametrize(
    ("options", "good"),
    [
        ("", True),
        ("?ssl-mode=required", True),
        ("?ssl_ca={cert}", True),
        ("?ssl-ca={cert}&ssl-mode=VERIFY_IDENTITY", True),
        ("?ssl-mode=verify_ca", False),  # by the authorities of the system
        ("?ssl-mode=verify_identity", False),
    ],
)
def test_tls_of_mysql(
    options: str, good: bool, certificate: tuple[Path, Path], tls_server: str, made: Made
) -> None:
    status = "information_schema.session_status WHERE variable_name = 'SSL_CIPHER' AND variable_value <> ''"
    query = f"SELECT count(*) FROM {status}"
    metric = made(tls_server + options.format(cert=certificate[0]), query)
    if good:
        assert measured(metric) == 1
    else:
        with pytest.raises(MetricError, match=r"(?i)certificate"):
            metric.update()


@pytest.fixture(scope="module")
def tls_server(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = MariaDB(tmp_path_factory.mktemp("tls"))
    server.certificate = certificate
    with server:
        yield server.url


@pytest.mark.parametrize(("url", "library"), [("postgresql://db", "psycopg"), ("mysql://db", "PyMySQL")])
def test_without_the_library(url: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library.lower(), None)
    metric = SQLMetric(url, COUNT)
    assert metric.source
    with pytest.raises(ConfigError, match=rf"{url} needs {library}: pip install '\.\["):
        metric.source.check()
    with pytest.raises(MetricError, match=f"needs {library}"):
        metric.update()
