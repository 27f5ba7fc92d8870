"""The guard against leaks sees them."""

from __future__ import annotations

import socket
import subprocess
import threading

from tests.leaks import Held


def test_a_thread_is_seen_until_it_ends():
    before, end = Held.now(), threading.Event()
    thread = threading.Thread(target=end.wait, name="lingers")
    thread.start()
    assert before.leaked() == ["thread lingers"]
    end.set()
    assert before.leaked_for_good() == []


def test_a_socket_is_seen_until_it_is_closed():
    before = Held.now()
    with socket.socket():
        assert [leak[:8] for leak in before.leaked_for_good(grace_s=0)] == ["socket:["]
    assert before.leaked() == []


def test_a_child_is_seen_until_it_is_waited_for():
    before = Held.now()
    child = subprocess.Popen(["sleep", "600"])
    assert before.leaked() == [f"child process {child.pid} (sleep)"]
    child.kill()
    assert before.leaked_for_good(grace_s=0) == [f"child process {child.pid} (sleep)"]
    child.wait()
    assert before.leaked() == []
