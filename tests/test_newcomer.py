"""One file for a metric, a rule or a scheduler is enough, in a package of its own and in ours."""

from __future__ import annotations

import pytest

from scripts.newcomer.checks import OF_COPY, OF_PACKAGE, Check
from scripts.newcomer.stage import Stage


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage.of_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage.of_copy(tmp_path_factory.mktemp("copy"))


@pytest.mark.parametrize("check", OF_PACKAGE, ids=lambda check: check.__name__)
def test_in_a_package(check: Check, package: Stage) -> None:
    check(package)


@pytest.mark.parametrize("check", OF_COPY, ids=lambda check: check.__name__)
def test_as_a_file_of_ours(check: Check, copy: Stage) -> None:
    check(copy)
