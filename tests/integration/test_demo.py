"""The demo with a real engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from docker import APIClient

LABEL = "com.microscaling.microscaling-in-a-box"


def ours(client: APIClient) -> list[str]:
    found = client.containers(all=True, filters={"label": LABEL})
    return [c["Labels"][LABEL] for c in found if c["Labels"][LABEL].startswith("demo-")]


def wait_for(what):
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def start(tmp_path, seconds):
    environ = {**os.environ, "TMPDIR": str(tmp_path), "DEMO_SECONDS": seconds}
    command = [sys.executable, "-m", "scripts.demo"]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_demo_scales_containers(engine, tmp_path):
    demo = start(tmp_path, "12")
    said, wrong = demo.communicate(timeout=120)
    assert (demo.returncode, wrong) == (0, ""), said
    assert said.startswith("Docker engine ")
    # A hand-over that comes too late is a failure, unless the demo knows that the machine is too busy for it.
    assert "batch → checkout" in said or "did not give way to checkout after 3.0 s: slower than" in said
    assert ours(engine) == os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_leaves_nothing_behind_when_it_is_ended(engine, tmp_path, number):
    demo = start(tmp_path, "")
    wait_for(lambda: len(ours(engine)) == 10)
    demo.send_signal(number)
    said, wrong = demo.communicate(timeout=120)
    assert (demo.returncode, wrong) == (0, ""), said
    assert ours(engine) == os.listdir(tmp_path) == []


def test_next_demo_removes_what_a_killed_one_left(engine, tmp_path):
    with start(tmp_path, "") as demo:
        wait_for(lambda: len(engine.containers(filters={"label": LABEL})) == 10)
        demo.kill()
    # Nobody hands out jobs any more, so they end.
    wait_for(lambda: not engine.containers(filters={"label": LABEL}))
    said, wrong = start(tmp_path, "1").communicate(timeout=120)
    assert wrong == "", said
    left = engine.containers(all=True, filters={"label": LABEL})
    for container in left:
        engine.remove_container(container, force=True)
    # One that had not been started yet may still be somebody's, so it stays for a minute.
    assert [c["State"] for c in left if c["State"] != "created"] == []
