"""Giving up root. A child does it, for there is no way back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from microscaling.errors import ConfigError
from microscaling.supervision import privileges

CHILD = """
import json, os, socket, sys
from microscaling.supervision import privileges
said = privileges.drop(os.environ)
path, answer = sys.argv[1], "none asked"
if path:
    try:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(path)
        answer = "connected"
    except OSError as error:
        answer = type(error).__name__
left = [n for n in (privileges.MARKER, "HOME") if n in os.environ]
print(json.dumps([said, os.getresuid(), os.getresgid(), os.getgroups(), answer, left]))
"""

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root")


def child(path: str = "", **environ: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, path],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/root", **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer: list[object] = json.loads(done.stdout)
    return answer


@pytest.fixture
def engine():
    """The path of a socket that listens, in a folder that anyone may pass."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        Path(folder).chmod(0o755)
        listening.bind(f"{folder}/docker.sock")
        listening.listen()
        yield Path(folder, "docker.sock")


@as_root
@pytest.mark.parametrize(
    ("group", "mode", "groups", "answer", "words"),
    [
        (4242, 0o660, [4242], "connected", "and group 4242, which may use"),
        (0, 0o660, [0], "connected", "and group 0 (root's own), which may use"),
        (4242, 0o600, [], "PermissionError", "none may use"),
        (4242, 0o666, [4242], "connected", "and group 4242"),
    ],
)
def test_it_keeps_the_group_of_the_socket_and_nothing_else(engine: Path, group, mode, groups, answer, words):
    os.chown(engine, 0, group)
    engine.chmod(mode)
    said, *rest = child(str(engine), MSS_DROP_TO="65532", DOCKER_HOST=f"unix://{engine}")
    assert rest == [[65532] * 3, [65532] * 3, groups, answer, []]
    assert str(said).startswith("started as root, dropped to uid 65532")
    assert words in str(said)


@as_root
@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("tcp://127.0.0.1:2375", "not reached by a socket"),
        ("unix:///nowhere/docker.sock", "cannot be seen (No such file or directory)"),
        ("unix:///etc/passwd", "is no socket"),
    ],
)
def test_without_a_socket_it_drops_all_the_same_and_says_why(host: str, words: str):
    said, uids, _, groups, *_ = child(MSS_DROP_TO="65532", DOCKER_HOST=host)
    assert (uids, groups) == ([65532] * 3, [])
    assert words in str(said)


@as_root
@pytest.mark.parametrize("environ", [{}, {"MSS_DROP_TO": ""}])
def test_unless_the_image_says_so_root_stays_root(environ: dict[str, str]):
    said, uids, *_, left = child(**environ)
    assert (said, uids, left) == ("", [0] * 3, ["HOME"])


@as_root
def test_where_root_may_not_change_its_user_the_ways_out_are_named():
    setpriv = ["setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid"]
    code = "import os; from microscaling.supervision.privileges import drop; drop(os.environ)"
    done = subprocess.run(
        [*setpriv, sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "MSS_DROP_TO": "65532"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "ConfigError: MSS_DROP_TO: root may not change its user here: allow SETUID" in done.stderr


def test_another_user_than_root_stays_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    environ = {privileges.MARKER: "65532", "HOME": "/home/me"}
    assert privileges.drop(environ) == ""
    assert environ == {"HOME": "/home/me"}


@pytest.mark.parametrize(
    ("lang", "left"),
    [
        ("C.UTF-8", {"MINE": "1"}),
        ("de_DE.UTF-8", {"MINE": "1", "LANG": "de_DE.UTF-8"}),
    ],
)
def test_what_the_base_of_the_image_has_set_is_forgotten_unless_it_was_changed(
    lang: str, left: dict[str, str]
):
    environ = {privileges.BROUGHT: "GPG_KEY= LANG=C.UTF-8", "LANG": lang, "MINE": "1"}
    privileges.drop(environ)
    assert environ == left


@pytest.mark.parametrize("marker", ["0", "nobody", "-1", "65532 ", "²", "99999999999"])
def test_a_marker_that_is_no_user_is_refused(monkeypatch: pytest.MonkeyPatch, marker: str):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    with pytest.raises(ConfigError, match="MSS_DROP_TO: expected the number of a user"):
        privileges.drop({privileges.MARKER: marker})


@as_root
def test_the_server_does_not_look_at_the_engines_socket():
    code = "import os; from microscaling.supervision.privileges import drop; "
    code += "print(drop(os.environ, engine=False), os.getgroups())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "MSS_DROP_TO": "65532"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "started as root, dropped to uid 65532 []\n"
