"""The demo: without an engine as a whole, with one in integration/."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from rich.console import Console

from microscaling.api.apps import apps_from_data
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from scripts.demo import load, tasks
from scripts.demo.containers import Containers, NotHere
from scripts.demo.dispenser import Dispenser
from scripts.demo.jobs import Jobs
from scripts.demo.processes import Processes
from scripts.demo.record import Line, Moment, Record, Row
from scripts.demo.screen import Screen
from scripts.demo.summary import excuse, failures, hand_overs, overdue


def wait_for(what, within_s=30.0):
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


@pytest.fixture
def jobs(tmp_path):
    with contextlib.closing(Jobs(str(tmp_path / "jobs.db"))) as jobs:
        yield jobs


def start_demo(tmp_path, seconds=""):
    environ = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "DOCKER_HOST": "unix:///nowhere",
        "DEMO_SECONDS": seconds,
    }
    command = [sys.executable, "-m", "scripts.demo"]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def workers(tmp_path):
    """The processes that have the folder in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as command:
            if os.fsencode(tmp_path) in command.read():
                found.append(int(pid))
    return found


def test_ends_by_itself_and_says_what_it_saw(tmp_path):
    said, wrong = start_demo(tmp_path, "10").communicate(timeout=60)
    assert wrong == ""
    assert said.startswith("Local processes (no Docker engine answers at unix:///nowhere)\n")
    for words in ("gives", "most at once      10 processes", "batch → checkout", "left behind       nothing"):
        assert words in said
    assert os.listdir(tmp_path) == workers(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_leaves_nothing_behind_when_it_is_ended(tmp_path, number):
    demo = start_demo(tmp_path)
    wait_for(lambda: len(workers(tmp_path)) == tasks.CAP)
    demo.send_signal(number)
    said, wrong = demo.communicate(timeout=60)
    assert (demo.returncode, wrong) == (0, "")
    assert "left behind       nothing" in said
    assert os.listdir(tmp_path) == workers(tmp_path) == []


def test_leaves_no_worker_behind_when_it_is_killed(tmp_path):
    with start_demo(tmp_path) as demo:
        wait_for(lambda: len(workers(tmp_path)) == tasks.CAP)
        demo.kill()
    wait_for(lambda: not workers(tmp_path))


def test_a_number_of_seconds_is_needed(tmp_path):
    with start_demo(tmp_path, "soon") as demo:
        assert demo.stderr.read() == "DEMO_SECONDS: expected a number of seconds, such as 20\n"
    assert demo.returncode == 2


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("unix:///nowhere", "no Docker engine answers at unix:///nowhere"),
        ("tcp://127.0.0.1:1", "DOCKER_HOST=tcp://127.0.0.1:1 is no socket of this machine"),
    ],
)
def test_without_an_engine(jobs, host, why):
    with pytest.raises(NotHere, match=why):
        Containers({"DOCKER_HOST": host}, jobs, 0.1)


def test_every_job_is_taken_once(tmp_path, jobs):
    jobs.put("q", 500)
    jobs.put("other", 1)
    taken = []

    def take_all():
        with contextlib.closing(Jobs(str(tmp_path / "jobs.db"))) as own:
            while own.take("q"):
                taken.append(1)

    threads = [threading.Thread(target=take_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), jobs.taken("q"), jobs.waiting("q"), jobs.waiting("other")) == (500, 500, 0, 1)


def test_dispenser_hands_out_one_job_a_request(jobs):
    jobs.put("q", 3)
    dispenser = Dispenser(jobs)
    dispenser.start()
    for _ in range(2):
        assert requests.get(dispenser.url("q"), timeout=5).status_code == 200
    assert requests.get(dispenser.url("q").replace("take", "x"), timeout=5).status_code == 404
    dispenser.stop()
    assert (jobs.taken("q"), jobs.waiting("q")) == (2, 1)


def test_configuration_is_one_that_a_user_could_write(jobs, caplog):
    mode = Processes("why", "/tmp/jobs.db", "/tmp/state", 0.3)
    made, cap = apps_from_data(tasks.configuration(mode, "/tmp/jobs.db").encode())
    assert [(t.name.removeprefix(mode.prefix), t.priority, t.is_remainder()) for t in made] == [
        ("checkout", 1, False),
        ("thumbnails", 2, False),
        ("batch", 3, True),
    ]
    assert (cap, caplog.records) == (10, [])


def test_load_has_the_most_important_task_need_almost_all():
    low, high = load.rates(0.0), load.rates(load.RISES_S)
    assert low["checkout"] * tasks.SECONDS_A_JOB < 1 < 6 < high["checkout"] * tasks.SECONDS_A_JOB < 8
    assert [(c.at, c.taker) for c in load.changes(20)] == [
        (3.0, "checkout"),
        (8.5, "batch"),
        (17.0, "checkout"),
    ]


def row(name, running, demand=None, **kwargs):
    demand = running if demand is None else demand
    common = {"priority": 1, "requested": demand, "queue": 5, "target": 10, "held": "", "backing_off": False}
    return Row(name=name, running=running, demand=demand, **{**common, **kwargs})


def seen(*counts):
    """A record of one moment every half second, given what checkout and batch run."""
    record = Record(10, "containers")
    for step, (checkout, batch) in enumerate(counts):
        record.moments.append(Moment(step / 2, (row("checkout", checkout), row("batch", batch))))
        record.most = max(record.most, checkout + batch)
    return record


GOOD = [(1, 8)] * 8 + [(5, 4)] * 10 + [(1, 8)] * 10


def test_hand_overs_are_seen():
    there, back = hand_overs(seen(*GOOD))
    assert str(there) == "4: the first 1.0 s after its load changed, the last 1.0 s"
    assert (back.change.taker, back.count) == ("batch", 4)
    assert failures(seen(*GOOD), [], 0) == []
    assert overdue(seen(*GOOD), load.changes(9)) == []


@pytest.mark.parametrize(
    ("counts", "left", "code", "said"),
    [
        ([*GOOD, (1, 10)], [], 0, "11 containers ran at once, the cap is 10"),
        ([(1, 8)] * 30, [], 0, "batch did not give way to checkout after 3.0 s"),
        (GOOD[:18] + [(5, 4)] * 9, [], 0, "checkout did not give way to batch after 8.5 s"),
        (GOOD, ["abc"], 0, "left behind: abc"),
        (GOOD, [], 1, "the agent ended with code 1"),
        (GOOD, [], None, "the agent ended with code None"),
    ],
)
def test_failures_are_said(counts, left, code, said):
    record = seen(*counts)
    assert said in failures(record, left, code) + overdue(record, load.changes(9))


def test_a_busy_machine_excuses_what_is_late():
    assert excuse(5.0, 27.3, 2) == "slower than 5 s: load 27 on 2 cores"
    assert excuse(5.0, 3.9, 2) == ""


def test_record_keeps_what_was_decided_and_why():
    task = Task("demo-12ab-web", demand=2, running=1, priority=1, target=SimpleQueueLengthTarget(7))
    shared = Tasks([task], 10)
    record = Record(10, "containers")
    task.reason = "gives 1 to demo-12ab-other"
    for _ in range(2):
        record.look(shared)
    assert [(line.name, line.change, line.why) for line in record.lines] == [
        ("web", "0 → 2", "gives 1 to other")
    ]
    assert record.moments[-1].rows == (row("web", 1, 2, queue=0, target=7, requested=0),)
    assert (record.most, record.decisions) == (1, 1)


@pytest.mark.parametrize(
    ("what", "state"),
    [
        (row("a", 2), ""),
        (row("a", 2, 5), "starting 3"),
        (row("a", 2, 1), "stopping 1"),
        (row("a", 2, held="no reading"), "held"),
        (row("a", 0, 1, backing_off=True), "backing off"),
    ],
)
def test_states(what, state):
    assert what.state == state


def drawn(record, width, height):
    """The lines of the picture."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(Screen(record, "Local processes", 20.0))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60), (60, 15)])
def test_picture_fits_the_terminal(width, height):
    record = seen(*GOOD)
    record.tell(Line(3.0, "checkout", "1 → 5", "queue 19 of target 10: " + "long " * 50))
    lines = drawn(record, width, height)
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}
    if height > 20:
        text = "\n".join(lines)
        for words in ("9 of 10 containers run", "Local processes", "1/1", "5/10", "queue 19 of target 10"):
            assert words in text


def test_picture_shows_who_is_in_trouble():
    record = seen((1, 8))
    held = row("checkout", 2, held="no reading")
    record.moments.append(Moment(1.0, (held, row("batch", 3, 1), row("more", 0, 1, backing_off=True))))
    text = "\n".join(drawn(record, 100, 30))
    for words in ("held", "stopping 2", "backing off", "█ █ · ·", "█ ▒ ▒ ·", "░ · ·"):
        assert words in text


def test_page_shows_the_agent(tmp_path):
    with start_demo(tmp_path) as demo:
        assert demo.stdout.readline().startswith("Local processes")
        url = demo.stdout.readline().removeprefix("The page: ").strip()
        page = urlsplit(url)
        state = f"http://{page.netloc}/api/users/{page.query.removeprefix('user=')}"

        def shown():
            answer = requests.get(state, timeout=5).json()
            running = sum(task["running"] for task in answer["tasks"])
            return answer["agents"]["connected"] == 1 and running == tasks.CAP and answer

        assert [task["target"] for task in wait_for(shown)["tasks"]] == [10, 10, None]
        demo.send_signal(signal.SIGTERM)
        assert demo.communicate(timeout=60)[1] == ""
    assert (demo.returncode, os.listdir(tmp_path)) == (0, [])
