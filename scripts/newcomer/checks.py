"""What a newcomer's plugins must find: each check is a function of a stage, and fails by an AssertionError.

OF_ALL holds for a package of its own and for files in a copy of microscaling alike.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable

from scripts.newcomer.stage import Stage, text_of, wait_for

ONE_LINE = re.compile(r"microscaling: \S.*")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")
Check = Callable[[Stage], None]


def scales(stage: Stage) -> None:
    """the metric is measured, the rule decides, and the scheduler scales"""
    stage.jobs.write_text("3")
    with stage.agent() as log:
        wait_for("3 jobs and one to spare: 4 sheets", lambda: text_of(stage.sheets) == "clerk 4\n")
        stage.jobs.write_text("0")
        wait_for("no job and one to spare: 1 sheet", lambda: text_of(stage.sheets) == "clerk 1\n")
        assert any("PAPER scheduler, ENVVAR configuration, 1 task shares 5 sheets" in line for line in log())
        assert not [line for line in log() if "WARNING" in line], log()
    assert text_of(stage.sheets) == "clerk 0\n", "stopped, as no MSS_ON_EXIT was given"


def errors_name_them(stage: Stage) -> None:
    """errors list the plugins where they list types, and name a field that is missing"""
    refused(
        stage, r"MSS_SCHEDULER=PAPPER is not available .*: .*DOCKER, .*PAPER, .*TOY", MSS_SCHEDULER="PAPPER"
    )
    refused(
        stage,
        r'MSS_CONFIG_DATA: apps\[0\]\.metricType: .*, JobsFile, .*, got "JobFile"',
        MSS_CONFIG_DATA=stage.config(metricType="JobFile"),
    )
    refused(
        stage,
        r"MSS_CONFIG_DATA: apps\[0\]\.config\.jobsPath: is missing: metricType JobsFile needs it",
        MSS_CONFIG_DATA=stage.config(config={}),
    )
    refused(
        stage,
        r"MSS_CONFIG_DATA: apps\[0\]\.config\.spareContainers: .*0.*, got -1",
        MSS_CONFIG_DATA=stage.config(config={"jobsPath": "x", "spareContainers": -1}),
    )
    painted = stage.config(config={"jobsPath": "x", "image": "y"})
    refused(stage, "clerk: paper has no image", MSS_CONFIG_DATA=painted)
    with stage.agent(MSS_CONFIG_DATA=stage.config(ruleType="OneJob")) as log:
        known = r'ruleType: "OneJob" is not .*OnePerJob, PerContainer, .*SimpleQueue'
        wait_for("a warning of the unknown rule", lambda: any(re.search(known, line) for line in log()))


def variables_are_known(stage: Stage) -> None:
    """a plugin's variables are known, may be in a file if they are secret, and are masked then"""
    key = stage.folder / "key"
    key.write_text("s3cr3tdrawer\n")
    masked = r"MSS_PAPER_PATH: is missing \(the drawer's key is \*+\)"
    lines = refused(stage, masked, MSS_PAPER_PATH="", MSS_PAPER_KEY_FILE=str(key))
    assert not [line for line in lines if "is not known" in line], lines
    twice = "MSS_PAPER_KEY and MSS_PAPER_KEY_FILE: both are set"
    refused(stage, twice, MSS_PAPER_KEY="x", MSS_PAPER_KEY_FILE=str(key))


def other_kinds(stage: Stage) -> None:
    """a source of configurations and a monitor of a package work too"""
    note, diary = stage.folder / "note", stage.folder / "diary"
    note.write_text(stage.config())
    stage.jobs.write_text("2")
    chosen = {"MSS_CONFIG": "NOTE", "MSS_CONFIG_DATA": "", "MSS_MONITOR": "DIARY"}
    with stage.agent(**chosen, NOTE_PATH=str(note), DIARY_PATH=str(diary)) as log:
        wait_for("the monitor's report", lambda: text_of(diary) == "clerk runs 3\n")
        assert any("NOTE configuration" in line for line in log())
    note.write_text('{"maxContainers": "x"}')
    refused(stage, f"{note}: maxContainers: expected a whole number", **chosen, NOTE_PATH=str(note))


def schema_has_them(stage: Stage) -> None:
    """the JSON Schema for editors has the types and their fields"""
    code, lines = stage.run("microscaling", "schema")
    assert code == 0, lines
    for word in ("JobsFile", "jobsPath", "OnePerJob", "spareContainers"):
        assert any(f'"{word}"' in line for line in lines), word


def form_has_them(stage: Stage) -> None:
    """the page's form has the types and their fields"""
    place = {"MSS_SERVER_ADDRESS": "127.0.0.1:0", "MSS_SERVER_STORE": str(stage.folder / "store.db")}
    with stage.agent("server", **place) as log:
        wait_for("the server's address", lambda: ADDRESS.search("\n".join(log())))
        address = ADDRESS.search("\n".join(log()))
        assert address is not None
        with urllib.request.urlopen(f"{address[0]}api/schema", timeout=30) as answer:
            form = json.load(answer)
    for kind, name, field in (("metrics", "JobsFile", "jobsPath"), ("rules", "OnePerJob", "spareContainers")):
        (found,) = [one for one in form[kind] if one["typeName"] == name]
        assert [one["key"] for one in found["fields"]] == [field]


def docs_have_them(stage: Stage) -> None:
    """make docs writes them into the tables, and a test fails until it has"""
    code, lines = stage.run("scripts.docs", "--check")
    assert code == 1, lines
    code, lines = stage.run("scripts.docs")
    assert code == 0, lines
    pages = "\n".join(
        path.read_text("utf-8") for path in [*stage.cwd.glob("*.md"), *stage.cwd.glob("docs/**/*.md")]
    )
    for word in ("`PAPER` (sheets of paper)", "`JobsFile`", "`jobsPath`", "`OnePerJob`", "`spareContainers`"):
        assert word in pages, word
    assert stage.run("scripts.docs", "--check") == (0, [])


def broken_is_one_line(stage: Stage) -> None:
    """a broken plugin is one line and exit code 2 if it is chosen"""
    cannot = (
        r'the plugin "(BROKEN|Broken)" \(newcomer_plugins\.broken:TYPE of microscaling\.{}\) '
        r"cannot be loaded: RuntimeError: this one is\\nbroken"
    )
    for variable, group in (("SCHEDULER", "schedulers"), ("CONFIG", "configs"), ("MONITOR", "monitors")):
        refused(stage, cannot.format(group), **{f"MSS_{variable}": "BROKEN"})
    for key, group in (("metricType", "metrics"), ("ruleType", "rules")):
        place = rf"MSS_CONFIG_DATA: apps\[0\]\.{key}: "
        refused(stage, place + cannot.format(group), MSS_CONFIG_DATA=stage.config(**{key: "Broken"}))
    lacks = 'MSS_SCHEDULER=LACKING cannot be used here: "No module named .*no_such_library'
    refused(stage, lacks, MSS_SCHEDULER="LACKING")
    refused(
        stage, '.*"MISNAMED".* calls itself "PAPER": both names have to be the same', MSS_SCHEDULER="MISNAMED"
    )
    refused(stage, '.*"METRIC".* is no scheduler', MSS_SCHEDULER="METRIC")


def broken_is_a_warning(stage: Stage) -> None:
    """a broken plugin is a warning where all are listed, and so is one with the name of ours"""
    stage.jobs.write_text("0")
    with stage.agent(MSS_UNKNOWN="1") as log:  # the variables of all plugins are looked through
        wait_for("a first decision", lambda: text_of(stage.sheets) == "clerk 1\n")
        listed = [line for line in log() if "cannot be loaded: RuntimeError" in line]
    assert len(listed) == 4, listed
    twin = 'the plugin "TOY" (newcomer_plugins.paper:TYPE of microscaling.schedulers) is ignored'
    with stage.agent(MSS_SCHEDULER="TOY", MSS_PAPER_PATH="") as log:
        wait_for("a decision with our own TOY", lambda: any("clerk: 0 -> 1" in line for line in log()))
        assert len([line for line in log() if twin in line]) == 1, log()


def contract_misses_them(stage: Stage) -> None:
    """the contract suite fails as long as the metric and the scheduler have no case there"""
    code, lines = stage.run("pytest", "tests/contract/test_complete.py", "-q", "-p", "no:cacheprovider")
    text = "\n".join(lines)
    assert code == 1, text
    for name, table in (("JobsFile", "KINDS"), ("PAPER", "CASES")):
        assert name in text, text
        assert table in text, text


OF_ALL: tuple[Check, ...] = (scales, errors_name_them, variables_are_known, schema_has_them, form_has_them)
OF_PACKAGE: tuple[Check, ...] = (*OF_ALL, other_kinds, broken_is_one_line, broken_is_a_warning)
OF_COPY: tuple[Check, ...] = (*OF_ALL, docs_have_them, contract_misses_them)


def refused(stage: Stage, expected: str, **changed: str) -> list[str]:
    """Checks that the agent ends with exit code 2 and this one line. Returns all lines of its output."""
    code, lines = stage.run(**changed)
    text = "\n".join(lines)
    assert code == 2, text
    assert "Traceback" not in text, text
    said = [line for line in lines if ONE_LINE.fullmatch(line)]
    assert len(said) == 1, text
    assert re.fullmatch(f"microscaling: {expected}.*", said[0]), f"{said[0]!r} is not {expected!r}"
    return lines
