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


def start(tmp_path, seconds):
    environ = {**os.environ, "TMPDIR": str(tmp_path), "DEMO_SECONDS": seconds}
    command = [sys.executable, "-m", "scripts.demo"]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_demo_scales_containers(engine, tmp_path):
    demo = start(tmp_path, "12")
    said, wrong = demo.communicate(timeout=120)
    assert (demo.returncode, wrong) == (0, ""), said
    assert said.startswith("Docker engine ")
    assert "batch → checkout" in said
    assert ours(engine) == os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_leaves_nothing_behind_when_it_is_ended(engine, tmp_path, number):
    demo = start(tmp_path, "")
    deadline = time.monotonic() + 60
    while len(ours(engine)) < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    demo.send_signal(number)
    said, wrong = demo.communicate(timeout=60)
    assert (demo.returncode, wrong) == (0, ""), said
    assert ours(engine) == os.listdir(tmp_path) == []
