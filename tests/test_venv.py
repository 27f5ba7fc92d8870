"""scripts/venv keeps an environment that a person has made, with what is installed in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("scripts/venv", "setup.cfg", "pyproject.toml", "microscaling/__init__.py")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What scripts/venv looks at, beside an environment made as the README says."""
    folder = tmp_path_factory.mktemp("clone")
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    done = subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no environment can be made here: {done.stdout[-200:]}")
    return folder


def run(folder: Path) -> str:
    """Runs it without extras, so that nothing is downloaded."""
    done = subprocess.run([folder / "scripts/venv"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_what_is_installed_stays(clone: Path) -> None:
    installed, mark = clone / ".venv" / "installed", clone / ".venv" / "has-yaml"
    installed.touch()
    assert run(clone) == ""
    mark.touch()
    assert run(clone) == ""
    assert mark.exists()
    with (clone / "setup.cfg").open("a") as file:
        file.write("# a later version\n")
    assert run(clone) == ""
    assert installed.exists()
    assert not mark.exists()  # the package and its extras are installed anew


def test_one_of_another_place_is_made_anew(clone: Path, tmp_path: Path) -> None:
    run(clone)
    moved = tmp_path / "moved"
    shutil.copytree(clone, moved, symlinks=True)
    (moved / ".venv" / "installed").touch()
    assert run(moved).startswith("Making the virtual environment")
    assert not (moved / ".venv" / "installed").exists()
