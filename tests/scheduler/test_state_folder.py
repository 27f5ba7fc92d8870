"""Where state is kept for the next agent, and what is said if it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from microscaling.scheduler.containers import state_folder
from microscaling.scheduler.containers.state_folder import default_folder, why_forgotten


def test_the_images_folder_is_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_folder, "IN_THE_IMAGE", str(tmp_path))
    assert default_folder({}) == str(tmp_path)
    own = f"microscaling-{os.getuid()}"
    assert default_folder({"XDG_RUNTIME_DIR": "/run/user/1"}) == f"/run/user/1/{own}"
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert default_folder({}).endswith(f"/{own}")


def test_a_folder_that_stays_is_made(tmp_path: Path) -> None:
    assert why_forgotten(str(tmp_path / "a" / "b"), in_container=False) == ""
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = f"{tmp_path}/file/state"
    assert why_forgotten(folder, in_container=False) == f"{folder} cannot be made (Not a directory)"


def test_what_is_in_memory_goes_with_its_container() -> None:
    folder = "/dev/shm"
    if not os.access(folder, os.W_OK) or " /dev/shm " not in Path("/proc/self/mountinfo").read_text():
        pytest.skip(f"{folder} is none here")
    assert why_forgotten(folder, in_container=False) == ""
    assert (
        why_forgotten(folder, in_container=True) == f"{folder} goes with this container: mount a volume there"
    )
