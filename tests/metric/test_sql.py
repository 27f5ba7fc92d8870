"""The SQL metric, on real SQLite files."""

from __future__ import annotations

import contextlib
import os
import sqlite3

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.sql import SQLMetric, SQLSource

COUNT = "SELECT count(*) FROM jobs WHERE taken = 0"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def path(tmp_path):
    """A queue of three jobs, one of them taken; the name is one that a URL has to quote."""
    path = tmp_path / "a queue? 100%#1.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE jobs (taken INT, name TEXT)")
        db.executemany("INSERT INTO jobs VALUES (?, ?)", [(0, "a"), (0, "b"), (1, "c")])
    return path


def measured(path, query):
    metric = SQLMetric(f"sqlite:///{path}", query)
    metric.current = 7
    metric.update()
    return metric.current


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (COUNT, 2),
        ("SELECT sum(taken) FROM jobs", 1),
        ("SELECT total(taken) FROM jobs", 1),  # 1.0
        ("SELECT 0", 0),
        ("SELECT 9007199254740992", 2**53),
        (COUNT + "; -- the end", 2),
    ],
)
def test_one_number(path, query, value):
    assert measured(path, query) == value


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT count(*) FROM job", "no such table: job"),
        ("SELEC", "syntax error"),
        ("SELECT taken FROM jobs WHERE taken = 2", "no row"),
        ("SELECT taken FROM jobs", "more than one value"),
        ("SELECT 1, 2", "more than one value"),
        ("-- nothing", "no row"),
        ("SELECT max(taken) FROM jobs WHERE taken = 2", "NULL"),
        ("SELECT 9e999 - 9e999", "NULL"),  # SQLite's NaN
        ("SELECT 9e999", "expected a whole number, got inf"),
        ("SELECT name FROM jobs WHERE taken = 1", "expected a whole number, got 'c'"),
        ("SELECT '12'", "expected a whole number, got '12'"),
        ("SELECT x'00'", "expected a whole number"),
        ("SELECT CAST(x'ff' AS TEXT)", "decode"),
        ("SELECT 2.5", "expected a whole number, got 2.5"),
        ("SELECT -1", "out of range"),
        ("SELECT 9007199254740993", "out of range"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("DELETE FROM jobs", "readonly"),
        ("CREATE TEMP TABLE t (x)", "readonly"),
        ("SELECT 1\0", "null character"),
    ],
)
def test_anything_else_is_an_error(path, query, said):
    with pytest.raises(MetricError, match=said):
        measured(path, query)


def test_error_keeps_what_was_measured(path):
    metric = SQLMetric(f"sqlite:///{path}", COUNT)
    metric.update()
    os.unlink(path)
    with pytest.raises(MetricError, match="no such file"):
        metric.update()
    assert metric.current == 2
    assert not path.exists()


def test_file_that_is_replaced_is_read_anew(path, tmp_path):
    metric = SQLMetric(f"sqlite:///{path}", COUNT)
    metric.update()
    with contextlib.closing(sqlite3.connect(tmp_path / "new")) as db, db:
        db.execute("CREATE TABLE jobs (taken INT)")
    os.replace(tmp_path / "new", path)
    metric.update()
    assert metric.current == 0


def test_relative_path(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert measured(path.name, COUNT) == 2


def test_database_that_its_users_keep_busy(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM jobs")
        assert measured(path, COUNT) == 2


@pytest.mark.parametrize("query", [ENDLESS, COUNT], ids=["a query without end", "a lock"])
def test_deadline(path, query):
    source = SQLSource(f"sqlite:///{path}", query, deadline_s=0.1)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("BEGIN EXCLUSIVE")
        if query is ENDLESS:
            db.rollback()
        with pytest.raises(MetricError, match=r"no answer within 0.1 s"):
            source.fetch()


def test_equal_questions_are_one_source():
    one, same, other = (SQLMetric("sqlite:///q.db", query).source for query in (COUNT, COUNT, "SELECT 1"))
    assert one.key == same.key != other.key
    assert one.name == "sqlite:///q.db"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://me:secret@db/jobs",
            "databases of the kind .postgresql. are not supported; expected sqlite:///",
        ),
        ("queue.db", "has to be a URL"),
        ("sqlite://queue.db", "names no file; expected sqlite:///relative/path or sqlite:////absolute/path"),
        ("sqlite:///", "names no file"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("", "has to be a URL"),
    ],
)
def test_bad_url(url, said):
    with pytest.raises(ConfigError, match=said) as error:
        SQLMetric(url, "SELECT 1")
    assert "secret" not in str(error.value)


def test_query_is_needed():
    with pytest.raises(ConfigError, match="needs a query"):
        SQLMetric("sqlite:///q.db", " ")
