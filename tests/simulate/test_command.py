"""The command `microscaling simulate`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from microscaling.__main__ import main

CONFIG = {
    "maxContainers": 10,
    "apps": [
        {
            "name": "mailer",
            "priority": 1,
            "maxContainers": 10,
            "ruleType": "Wait",
            "metricType": "NSQ",
            "config": {"image": "x", "topicName": "jobs", "channelName": "w", "maxWaitSeconds": 5},
        },
        {
            "name": "batch",
            "priority": 2,
            "maxContainers": 10,
            "ruleType": "Remainder",
            "config": {"image": "y"},
        },
    ],
}


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "apps.json"
    path.write_text(json.dumps(CONFIG))
    return str(path)


def test_a_table(config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    decisions = tmp_path / "decisions.txt"
    rule = "PerContainer targetPerContainer=10"
    asked = ["simulate", config, "--load", "step", "--seconds", "120", "--rule", rule, "--promise", "5"]
    assert main([*asked, "--decisions", str(decisions)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["rule", "task", "over"]
    assert [line.partition("  ")[0] for line in lines[1:5]] == ["as configured"] * 2 + [rule] * 2
    assert "no plan does with fewer" in " ".join(lines)
    assert "come, one does" in decisions.read_text()


@pytest.mark.parametrize("form", ["csv", "json"])
def test_figures_for_programs(form: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", config, "--load", "sine", "--seconds", "60", "--format", form]) == 0
    out = capsys.readouterr().out
    rows = json.loads(out) if form == "json" else list(csv.DictReader(io.StringIO(out)))
    assert [row["task"] for row in rows] == ["mailer", "batch"]
    assert float(rows[0]["p99"]) > 0
    assert float(rows[0]["times_fewest"]) > 0.9


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_picture(ending: str, config: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra simulate is not installed")
    path = tmp_path / f"run.{ending}"
    assert main(["simulate", config, "--load", "step", "--seconds", "30", "--picture", str(path)]) == 0
    assert path.read_bytes().lstrip()[:5] == (b"<?xml" if ending == "svg" else b"\x89PNG\r")


def test_a_recorded_load(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "load.csv"
    path.write_text("time,arrivals\n" + "".join(f"{10 * n},{100 + n}\n" for n in range(13)))
    assert main(["simulate", config, "--load", str(path), "--seconds", "120", "--format", "json"]) == 0
    mailer = json.loads(capsys.readouterr().out)[0]
    assert mailer["fewest"] == pytest.approx(10.65 / 5, rel=0.15)


def test_a_servers_history(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four containers at 5/s keep a queue of 30 where it is: so 20 have come each second."""
    times = [1_000_000 + 500 * n for n in range(200)]
    mailer = {"running": [4] * 200, "demand": [4] * 200, "metric": [30] * 200}
    part = {"step": 500, "times": times, "cap": [10] * 200, "tasks": {"mailer": mailer}}
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"now": 1, "full": part, "coarse": {"times": [], "tasks": {}}}))
    assert main(["simulate", config, "--load", str(path), "--seconds", "99", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["fewest"] == pytest.approx(4, rel=0.12)


BAD = {
    "gaps": ("0,1\n5,\n", "line 2: the number of arrivals is missing: leave the row out if it is not known"),
    "negative": ("0,1\n5,-3\n", "line 2: expected a whole number of arrivals, 0 or more, got -3"),
    "text": ("0,1\nfive,3\n", 'line 2: expected a time, got "five"'),
    "text2": ("0,1\n5,many\n", 'line 2: expected a number of arrivals, got "many"'),
    "nan": ("0,1\n5,nan\n", "line 2: expected a whole number of arrivals, 0 or more, got nan"),
    "unsorted": (
        "0,1\n5,3\n2,3\n",
        "line 3: its time, 2, is not after that of the row before: sort the rows",
    ),
    "columns": ("0,1\n5,3,4\n", "line 2: expected time and arrivals, got 3 columns"),
    "one row": ("0,1\n", "has fewer than two rows"),
    "empty": ("", "has fewer than two rows"),
    "too many": ("0,1\n1,99999999\n", "line 2: more than 100000 jobs a second"),
    "no history": ('{"a": 1}', "is no history of a server"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file(case: str, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, problem = BAD[case]
    path = tmp_path / "load.csv"
    path.write_text(text)
    assert main(["simulate", config, "--load", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"microscaling: --load: {path}: {problem}")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--load", "stp"], "'stp' is no file and no shape"),
        (["--load", "step:lo=3"], "step has no 'lo': it has low, high, every"),
        (["--load", "step:low=x"], "step: low: expected a number, got 'x'"),
        (["--load", "step:low=-3"], "step: low: expected a number from 0 to 100000, got -3"),
        (["--load", "step:every=0"], "every, length and times are above 0"),
        (["--load", "sine:low=9,high=3"], "low is 9, above high, 3"),
        (["--load", "nobody=sine"], "no task 'nobody' measures a queue"),
        (["--load", "/nowhere/load.csv"], "/nowhere/load.csv: cannot be read: No such file or directory"),
        (["--load", "sine", "--rule", "Wait maxWaitSeconds=0"], "maxWaitSeconds: expected a number from 0.5"),
        (["--load", "sine", "--rule", "Wait"], "maxWaitSeconds: is missing"),
        (["--load", "sine", "--rule", "Remainder"], "'Remainder' is not PerContainer, Queue, SimpleQueue"),
        (["--load", "sine", "--picture", "run.gif"], "run.gif: expected a name that ends in .svg or .png"),
    ],
)
def test_bad_arguments(
    arguments: list[str], problem: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", config, *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert problem in lines[0].replace('"', "'")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--rate", "0"], "argument --rate: expected a number from 1e-05 to 10000, got 0"),
        (["--seconds", "soon"], "argument --seconds: expected a number, got"),
        ([], "the following arguments are required: --load"),
    ],
)
def test_bad_options(
    arguments: list[str], problem: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    load = ["--load", "sine"] if arguments else []
    with pytest.raises(SystemExit) as ended:
        main(["simulate", config, *load, *arguments])
    assert ended.value.code == 2
    assert f"microscaling: simulate: {problem}" in capsys.readouterr().err
