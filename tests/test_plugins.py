"""Plugins are found by name, ours before those of others, and with no more imports than that takes."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microscaling import factory
from microscaling.config.base import CONFIGS
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.monitor.base import MONITORS
from microscaling.plugins import Group, Variable
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings, variables
from microscaling.target.base import RULES
from scripts.newcomer.stage import NAME, Stage

ROOT = Path(__file__).parents[1]
OURS = "microscaling.scheduler."
FIND = "import sys; from microscaling.scheduler.base import SCHEDULERS; find = SCHEDULERS.find"
GROUPS = (METRICS, RULES, SCHEDULERS, MONITORS, CONFIGS)


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The package of scripts/newcomer, in this process."""
    stage = Stage.of_package(tmp_path)
    monkeypatch.syspath_prepend(stage.path)
    for group in GROUPS:
        monkeypatch.setattr(group, "_warned", set())
    yield stage
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("group", "ours"),
    [
        (SCHEDULERS, "COMPOSE DOCKER KUBERNETES MARATHON PROCESS SWARM TOY"),
        (CONFIGS, "ENVVAR FILE HARDCODED LABEL SERVER SERVICES"),
        (MONITORS, "SERVER"),
    ],
)
def test_ours(group: Group, ours: str) -> None:
    assert [plugin.type_name for plugin in group.ours()] == ours.split()
    assert group.names() == ours.split()
    assert [group.find(name) for name in ours.split()] == group.all() == group.ours()
    assert group.find(ours.split()[0].lower()) is None
    assert [plugin.summary for plugin in group.ours() if not plugin.summary] == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.kind)
def test_those_of_others_are_listed_and_a_broken_one_is_a_warning(
    group: Group, others: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    ours = {plugin.type_name for plugin in group.ours()}
    listed = set(group.names()) - ours
    assert {name for name in listed if name.casefold() == "broken"}
    loaded = {plugin.type_name for plugin in group.all()} - ours
    assert loaded == listed - {"BROKEN", "Broken", "MISNAMED", "METRIC"}
    assert loaded
    assert len([m for m in caplog.messages if "cannot be loaded" in m]) == 1


def test_the_name_of_ours_means_ours_with_one_warning(
    others: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert SCHEDULERS.find("TOY") in SCHEDULERS.ours()
        SCHEDULERS.names(), SCHEDULERS.all()
    assert len([m for m in caplog.messages if 'the plugin "TOY"' in m and "is ignored" in m]) == 1


@pytest.mark.parametrize("look", [lambda: SCHEDULERS.find("toy", any_case=True), SCHEDULERS.names])
def test_the_name_of_ours_in_another_case_is_a_warning_too(
    others: Stage, caplog: pytest.LogCaptureFixture, look: Callable[[], object]
) -> None:
    """Both MSS_SCHEDULER=Toy and MSS_SCHEDULER=TOY mean ours."""
    (about,) = Path(others.path).glob("*.dist-info")
    (about / "entry_points.txt").write_text("[microscaling.schedulers]\nToy = newcomer_plugins.paper:TYPE\n")
    look(), look()
    assert SCHEDULERS.find("Toy", any_case=True) in SCHEDULERS.ours()
    (line,) = (m for m in caplog.messages if 'the plugin "Toy"' in m)
    assert "is ignored in YAML and in variables" in line
    assert line.endswith(": microscaling has the scheduler TOY")


def modules_after(program: str, path: str = "") -> list[str]:
    """The names of all modules that are imported then."""
    done = subprocess.run(
        [sys.executable, "-c", f"{FIND}; {program}; print(*sys.modules)"],
        env={"PYTHONPATH": f"{path}:{ROOT}"}, check=True, capture_output=True,
    )  # fmt: skip
    return done.stdout.decode().split()


def test_only_the_chosen_one_is_imported(others: Stage) -> None:
    found = modules_after("find('PROCESS'); find('PAPER')", others.path)
    assert [name for name in found if name.startswith(NAME)] == [NAME, f"{NAME}.paper"]
    assert {name.removeprefix(OURS) for name in found if name.startswith(OURS)} == {
        "base",
        "lease",
        "process",
        "process.plugin",
    }


def test_to_find_ours_no_metadata_of_packages_is_read() -> None:
    assert "importlib.metadata" not in modules_after("find('PROCESS')")
    assert "importlib.metadata" not in modules_after("find('')")  # a task without a metric


def test_metadata_that_cannot_be_read_is_a_warning_and_ours_work(
    others: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    (about,) = Path(others.path).glob("*.dist-info")
    (about / "entry_points.txt").write_text("[microscaling.schedulers]\nno equals sign\n")
    assert SCHEDULERS.find("TOY") is not None
    assert SCHEDULERS.find("PAPER") is None
    assert len([m for m in caplog.messages if "entry points of the packages cannot be read" in m]) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DIARY", ["DIARY"]),
        ("SERVER, DIARY", ["SERVER", "DIARY"]),
        ("SERVER;DIARY;DIARY", ["SERVER", "DIARY"]),
        ("MYSERVERS", ["SERVER"]),
        ("none", []),
        ("None DIARY", ["DIARY"]),
    ],
)
def test_monitors_by_their_names_and_the_letters_of_server(
    text: str, found: list[str], others: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    made = factory.make_monitors(Settings(monitor=text, api_address="127.0.0.1:1"))
    assert [type(monitor).__name__ for monitor in made] == [
        {"SERVER": "ServerMonitor", "DIARY": "DiaryMonitor"}[name] for name in found
    ]
    assert caplog.messages == []


def test_a_word_that_is_no_monitor_is_a_warning_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings(monitor="reports")
    assert factory.make_connection(settings) is None
    assert factory.make_monitors(settings) == []
    assert caplog.messages == ['MSS_MONITOR: there is no monitor "reports"; there are: SERVER, none']


def test_variables(tmp_path: Path) -> None:
    plain, secret = Variable("X_UNIT", "a unit", "items"), Variable("X_KEY", "a key", secret=True)
    (tmp_path / "key").write_text("s3cr3t\n")
    assert (plain.names, secret.names) == (("X_UNIT",), ("X_KEY", "X_KEY_FILE"))
    assert plain.read({}) == plain.read({"X_UNIT": "", "X_UNIT_FILE": "/no/such"}) == "items"
    assert plain.read({"X_UNIT": "jobs"}) == "jobs"
    assert (secret.read({}), secret.read({"X_KEY": "k"})) == ("", "k")
    assert secret.read({"X_KEY_FILE": str(tmp_path / "key")}) == "s3cr3t"
    with pytest.raises(ConfigError, match="X_KEY_FILE: /no/such: cannot be read"):
        secret.read({"X_KEY_FILE": "/no/such"})


def test_the_meanings_of_settings_list_no_plugins() -> None:
    """`make docs` lists them, so none is missing."""
    for variable, group in factory.CHOICES.items():
        _, meaning = variables()[variable]
        assert [plugin.type_name for plugin in group.ours() if f"`{plugin.type_name}`" in meaning] == []


WITHOUT_SQLITE = """
import sys
sys.modules["sqlite3"] = None  # as in a Python that was built without it
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
print(*METRICS.names(), METRICS.find("HTTP").type_name)
try:
    METRICS.find("SQL")
except ConfigError as error:
    print(error)
"""


def test_a_part_of_the_library_that_is_missing_costs_one_type_only() -> None:
    ended = subprocess.run([sys.executable, "-c", WITHOUT_SQLITE], cwd=ROOT, capture_output=True, text=True)
    names, error = ended.stdout.splitlines()
    others = {kind.type_name for kind in METRICS.ours()} - {"SQL"}
    assert names.split() == [*sorted(others, key=str.casefold), "HTTP"]
    assert error.startswith(
        "the metric in microscaling.metric.sql cannot be loaded: import of sqlite3 halted"
    )
    assert ended.returncode == 0
