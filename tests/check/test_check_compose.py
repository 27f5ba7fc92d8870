"""`microscaling check` with services of Compose, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import engines
from tests.integration.composes import USUAL, Project, project_on
from tests.services.numbers import Numbers
from tests.test_main import run

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    try:
        with project_on(engines.host_of_the_machine(), USUAL, tmp_path) as made:
            yield made
    except engines.Missing as missing:
        engines.give_up(missing)


def check(project: Project, *arguments: str) -> tuple[int, list[str]]:
    code, out, err = run(
        "check", *arguments, MSS_SCHEDULER="COMPOSE", MSS_MAX_CONTAINERS="10", MSS_MONITOR="none",
        DOCKER_HOST=project.host, MSS_COMPOSE_PROJECT=project.name, MSS_STATE_DIR=str(project.state),
    )  # fmt: skip
    assert err == ""
    return code, out.splitlines()


def test_a_good_project_and_a_label_with_a_mistake(project: Project) -> None:
    with Numbers() as numbers:
        numbers.counts["jobs"] = 40
        labels = {
            "microscaling.rule": "PerContainer", "microscaling.target": "10", "microscaling.metric": "HTTP",
            "microscaling.metric.url": numbers.url("jobs"),
        }  # fmt: skip
        project.web(labels=labels)
        project.run("up", "-d")
        before = project.ids()
        code, lines = check(project, "--strict")
        assert (code, [line for line in lines if not line.startswith("ok ")]) == (0, []), lines
        assert lines[0] == "ok       COMPOSE scheduler, SERVICES configuration: 1 task shares 10 containers"
        assert lines[-1].startswith("ok       web: reads 40; has 1, would have "), lines
        assert project.ids() == before, "and nothing is made"

        project.web(labels=labels | {"microscaling.mx": "3"})
        project.run("up", "-d")
        code, lines = check(project)
        meant = "microscaling.mx: is not known; did you mean microscaling.max?"
        assert [line.partition(" ")[0] for line in lines if meant in line] == ["error"], lines
        assert code == 1
