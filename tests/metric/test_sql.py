"""The SQL metric, on real SQLite files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

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
        ("SELECT '12'", 12),
        ("SELECT '1.5e3'", 1500),
        ("SELECT 2.5", 3),
        ("SELECT avg(taken) FROM jobs", 1),  # 0.333...
        ("SELECT coalesce(max(taken), 0) FROM jobs WHERE taken = 2", 0),
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
        ("SELECT max(taken) FROM jobs WHERE taken = 2", r"yields NULL; coalesce\(\.\.\., 0\) makes 0 of it"),
        ("SELECT 9e999 - 9e999", "NULL"),  # SQLite's NaN
        ("SELECT 9e999", "expected a whole number, got inf"),
        ("SELECT name FROM jobs WHERE taken = 1", "expected a whole number, got 'c'"),
        ("SELECT '12 jobs'", "expected a whole number, got '12 jobs'"),
        ("SELECT x'00'", "expected a whole number"),
        ("SELECT CAST(x'ff' AS TEXT)", "decode"),
        ("SELECT -1", "-1 is out of range .*; atLeast: 0 counts it as 0"),
        ("SELECT -0.5", "-0.5 is out of range"),
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


def test_at_least(path):
    metric = SQLMetric(f"sqlite:///{path}", "SELECT -1")
    metric.at_least = 0
    metric.update()
    assert metric.current == 0


@pytest.mark.parametrize(
    "options", ["mode=ro", "timeout=5&check_same_thread=false", "immutable=1", "cache=private&nolock=0"]
)
def test_options_of_the_url_are_not_taken_for_a_part_of_the_name(path, options):
    assert measured(f"{path}?{options}", COUNT) == 2
    assert measured(f"file:{path}?{options}&uri=true", COUNT) == 2


def test_a_question_mark_with_nothing_behind_it(path):
    assert measured(f"{path}?", COUNT) == 2
    with pytest.raises(MetricError, match=r"no such file; the text after the \? is no option=value"):
        measured(f"{path}?immutable", COUNT)


def test_a_path_that_begins_with_more_slashes(path):
    assert measured(f"/{path}", COUNT) == measured(f"//{path}", COUNT) == 2


def test_the_scheme_in_capitals(path):
    metric = SQLMetric(f"SQLite:///{path}", COUNT)
    metric.update()
    assert metric.current == 2


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(MetricError, match="it is a folder"):
        measured(tmp_path, COUNT)


def test_an_option_that_is_not_known_is_said_and_no_part_of_the_name(path, caplog):
    assert measured(f"{path}?password=hunter22", COUNT) == 2
    assert caplog.messages == ["SQL metric: SQLite knows no option password, so it is ignored"]


def test_a_database_in_memory_is_none_of_a_file(path):
    with pytest.raises(ConfigError, match="names no file"):
        SQLMetric(f"sqlite:///{path}?mode=memory", COUNT)


def test_the_driver_of_sqlalchemy_may_be_named(path):
    metric = SQLMetric(f"sqlite+pysqlite:///{path}", COUNT)
    metric.update()
    assert metric.current == 2


AS_ANOTHER_USER = """
import os, sys
from microscaling.metric.sql import SQLMetric
metric = SQLMetric(sys.argv[1], "SELECT count(*) FROM jobs WHERE taken = 0")
os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    metric.update()
    print(metric.current)
except Exception as error:
    print(error)
"""


@pytest.fixture
def shared(path):
    """The same in WAL mode, in a folder that others may only look into."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:  # all the way to pytest's own is root's alone
        os.chmod(folder, 0o755)
        copy = shutil.copy(path, f"{folder}/jobs.db")
        os.chmod(copy, 0o644)
        with contextlib.closing(sqlite3.connect(copy)) as db:
            db.execute("PRAGMA journal_mode = WAL")
        yield copy


def as_another_user(path):
    command = [sys.executable, "-c", AS_ANOTHER_USER, f"sqlite:///{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_database_in_wal_mode_of_another_user(shared):
    """SQLite itself wants to write beside the file, even to read it."""
    assert as_another_user(shared) == "2"
    with contextlib.closing(sqlite3.connect(shared)) as db, db:
        db.execute("DELETE FROM jobs")
        db.commit()
        assert as_another_user(shared) == "0"  # what is in the -wal counts
        os.chmod(f"{shared}-wal", 0o600)
        assert as_another_user(shared).endswith(f"may not read {shared}-wal, which has the latest changes")
    assert as_another_user(shared) == "0"


@pytest.mark.parametrize("what", ["the file", "its folder"])
def test_the_right_that_is_missing_is_named(shared, what):
    os.chmod(shared if what == "the file" else os.path.dirname(shared), 0o600)
    said = as_another_user(shared)
    assert said.endswith("the agent's user 65534 may not read the file, or not enter its folder")


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
            "oracle://me:secret@db/jobs",
            "databases of the kind .oracle. are not supported; expected sqlite:///",
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
