"""Marathon, on a fake that is as strict as the real one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.scheduler.marathon import Marathon
from microscaling.scheduler.replicas.orchestrator import Conflict, OrchestratorScheduler, Replicas
from tests.fakes.marathon import FakeMarathon
from tests.metric.faulty import Server, answers

PATIENCE_S = 60.0


@pytest.fixture
def fake() -> Iterator[FakeMarathon]:
    with FakeMarathon() as made:
        made.add("/web", 2)
        made.add("/team/mail", 1)
        yield made


@pytest.fixture
def marathon(fake: FakeMarathon) -> Iterator[Marathon]:
    made = Marathon(fake.url)
    yield made
    made.close()


class Driven:
    """A scheduler that is counted and driven as the agent does it, in this thread."""

    def __init__(self, fake: FakeMarathon, *names: str, cap: int = 10) -> None:
        self.tasks = Tasks([Task(name, priority=i) for i, name in enumerate(names)], cap)
        self.scheduler = OrchestratorScheduler(Marathon(fake.url))
        try:
            for task in self.tasks.tasks:
                self.scheduler.init_scheduler(task)
            self.scheduler.count_all_tasks(self.tasks)
        except BaseException:
            self.scheduler.cleanup()
            raise

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, *_: object) -> None:
        self.scheduler.cleanup()

    def demand(self, *counts: int) -> None:
        with self.tasks:
            for task, count in zip(self.tasks.tasks, counts, strict=True):
                task.demand = count
        self.scheduler.stop_start_tasks(self.tasks)

    def until(self, what) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < deadline, f"waited in vain: {self.counts()}"
            retry = self.scheduler.next_retry()
            if retry is not None and retry <= time.monotonic():
                self.scheduler.stop_start_tasks(self.tasks)
            self.scheduler.count_all_tasks(self.tasks)
            time.sleep(0.02)

    def counts(self) -> list[tuple[int, int]]:
        with self.tasks:
            return [(task.requested, task.running) for task in self.tasks.tasks]


@pytest.mark.parametrize("name", ["team/mail", "/team/mail"])
def test_apps_in_folders(marathon: Marathon, fake: FakeMarathon, name: str) -> None:
    assert marathon.read([name]) == {name: Replicas(1, 1)}
    marathon.scale(name, 3)
    assert fake.apps["/team/mail"].instances == 3
    assert fake.asked[-1] == ("PUT", "/v2/apps/team/mail", 200)


def test_what_runs_lags_behind(marathon: Marathon, fake: FakeMarathon) -> None:
    fake.apps["/web"].start_s = 60.0
    marathon.scale("web", 5)
    assert marathon.read(["web"]) == {"web": Replicas(5, 2, locked=True)}


def test_what_is_not_there_is_left_out(marathon: Marathon) -> None:
    assert marathon.read(["web", "nobody", "We b?"]) == {"web": Replicas(2, 2)}


def test_locked_by_a_deployment(marathon: Marathon, fake: FakeMarathon) -> None:
    fake.lock_app("/web")
    with pytest.raises(Conflict, match=r"/v2/apps/web: HTTP 409, App is locked by one or more deployments"):
        marathon.scale("web", 3)


def test_too_many_deployments_at_a_time_pass(marathon: Marathon, fake: FakeMarathon) -> None:
    fake.deployments_allowed = 0
    with pytest.raises(Conflict, match="running deployments reached"):
        marathon.scale("web", 3)


def test_nothing_is_created(marathon: Marathon, fake: FakeMarathon) -> None:
    with pytest.raises(PermanentError, match="HTTP 422, Object is not valid"):
        marathon.scale("nobody", 1)
    assert sorted(fake.apps) == ["/team/mail", "/web"]


def test_forbidden(marathon: Marathon, fake: FakeMarathon) -> None:
    fake.forbidden.add("/web")
    with pytest.raises(PermanentError, match="HTTP 403, Not Authorized to perform this action!; the user"):
        marathon.scale("web", 3)


@pytest.mark.parametrize(
    ("user", "token", "given"),
    [
        ("agent:p@ss/word", "", ("agent:p%40ss%2Fword@", "")),
        ("", "eyJ0.a.b", ("", "eyJ0.a.b")),
        ("", "eyJ0.a.b", ("agent:ignored@", "eyJ0.a.b")),
    ],
)
def test_credentials(user: str, token: str, given: tuple[str, str]) -> None:
    with FakeMarathon(user=user, token=token) as fake:
        fake.add("/web", 1)
        marathon = Marathon(fake.url.replace("//", f"//{given[0]}"), given[1])
        assert marathon.read(["web"]) == {"web": Replicas(1, 1)}
        marathon.scale("web", 2)
        marathon.close()


@pytest.mark.parametrize(("user", "token"), [("agent:wrong-s3cret@", ""), ("", "wrong-s3cret"), ("", "")])
def test_wrong_credentials_are_said_without_telling_them(user: str, token: str) -> None:
    with FakeMarathon(user="agent:right") as fake:
        marathon = Marathon(fake.url.replace("//", f"//{user}"), token)
        with pytest.raises(PermanentError) as caught:
            marathon.read(["web"])
        said = str(caught.value)
        assert "HTTP 401, Invalid username or password.; set MSS_MARATHON_API to http://user" in said
        assert "s3cret" not in said + marathon.name
        marathon.close()


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("marathon:8080", "http://marathon:8080/v2/apps/"),
        ("http://marathon:8080/", "http://marathon:8080/v2/apps/"),
        ("https://dcos/service/marathon", "https://dcos/service/marathon/v2/apps/"),
        ("http://[::1]:8080", "http://[::1]:8080/v2/apps/"),
    ],
)
def test_address(address: str, url: str) -> None:
    assert Marathon(address).url == url


@pytest.mark.parametrize(
    "address", ["ftp://x", "http://", "http://x:port", "http://x/?a=b", "http://[", "://"]
)
def test_a_bad_address_is_a_bad_setting(address: str) -> None:
    with pytest.raises(ConfigError, match="MSS_MARATHON_API: expected"):
        Marathon(address)


def counted(instances: bytes, running: bytes) -> bytes:
    return b'{"apps": [{"id": "/web", "instances": %b, "tasksRunning": %b}]}' % (instances, running)


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        ("200 OK", b"<html>", TemporaryError, "not Marathon's list of apps"),
        ("200 OK", b"{}", TemporaryError, "not Marathon's list of apps"),
        ("200 OK", b'{"apps": [{"id": "/web"}]}', TemporaryError, "not Marathon's list of apps"),
        ("200 OK", counted(b"true", b"1"), TemporaryError, "instances of /web is True"),
        ("200 OK", counted(b"1", b"-1"), TemporaryError, "tasksRunning of /web is -1"),
        ("200 OK", b"[" * 100_000, TemporaryError, "not Marathon's list of apps"),
        ("500 Oops", b"", TemporaryError, "HTTP 500"),
        ("503 Busy", b'{"message": "no leader"}', TemporaryError, "HTTP 503, no leader"),
        ("429 Slow", b"", TemporaryError, "HTTP 429"),
        ("404 Not Found", b"<html>", PermanentError, "HTTP 404; is this the address of Marathon?"),
        ("302 Found", b"", PermanentError, "HTTP 302; is this the address of Marathon?"),
        ("403 Forbidden", b"", PermanentError, "may not do this"),
    ],
)
def test_other_answers_to_a_count(status: str, body: bytes, kind: type[Exception], says: str) -> None:
    with Server(answers(body, status)) as server:
        marathon = Marathon(server.url("/"))
        with pytest.raises(kind) as caught:
            marathon.read(["web"])
        assert says in str(caught.value)
        assert server.url("/v2/apps/") in str(caught.value)
        marathon.close()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("200 OK", b"", None),
        ("200 OK", b'{"version": "x", "deploymentId": "y"}', None),
        ("200 OK", b"<html>", TemporaryError),
        ("202 Accepted", b"{}", TemporaryError),
        ("409 Conflict", b"", Conflict),
        ("409 Conflict", b"<html>", Conflict),
        ("408 Time-out", b"", TemporaryError),
        ("502 Bad Gateway", b"<html>", TemporaryError),
        ("404 Not Found", b'{"message": "gone"}', PermanentError),
        ("401 Unauthorized", b"", PermanentError),
    ],
)
def test_answers_to_scaling(status: str, body: bytes, kind: type[Exception] | None) -> None:
    with Server(answers(body, status)) as server:
        marathon = Marathon(server.url("/"))
        got = None
        try:
            marathon.scale("web", 1)
        except (TemporaryError, PermanentError) as error:
            got = type(error)
        assert got is kind if kind in (None, Conflict) else got is not None and issubclass(got, kind)
        marathon.close()


def test_what_marathon_says_is_one_line_and_not_long() -> None:
    body = b'{"message": "one\\ntwo", "details": [{"path": "/x", "errors": ["' + b"y" * 500 + b'"]}]}'
    with Server(answers(body, "422 Unprocessable Entity")) as server:
        marathon = Marathon(server.url("/"))
        with pytest.raises(PermanentError, match=r"HTTP 422, one\\ntwo \(\[") as caught:
            marathon.scale("web", 1)
        assert len(str(caught.value)) < 250
        marathon.close()


def test_calls_at_the_same_time_do_not_share_a_connection(marathon: Marathon, fake: FakeMarathon) -> None:
    threads = [threading.Thread(target=marathon.read, args=(["web"],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert marathon.read(["web"]) == {"web": Replicas(2, 2)}
    assert 1 <= len(marathon._clients) <= 8


def test_a_hand_over_asks_for_no_more_than_the_cap(fake: FakeMarathon) -> None:
    fake.add("/web", 2)
    fake.add("/team/mail", 8)
    with Driven(fake, "web", "team/mail") as driven:
        for counts in ((8, 2), (3, 7), (10, 0)):
            driven.demand(*counts)
            driven.until(lambda counts=counts: driven.counts() == [(n, n) for n in counts])
    assert fake.most_asked == 10
    assert set(fake.puts()) <= {200, 409}


def test_a_locked_app_is_tried_again_until_it_can_be_scaled(fake: FakeMarathon, caplog) -> None:
    caplog.set_level(logging.INFO, "mssscheduler")
    fake.lock_app("/web")
    with Driven(fake, "web", "team/mail") as driven:
        driven.demand(1, 2)
        driven.until(lambda: fake.puts("/web")[:3] == [409, 409, 409])
        driven.until(lambda: driven.counts()[1] == (2, 2))
        fake.unlock_app("/web")
        driven.until(lambda: driven.counts()[0] == (1, 1))
    assert sum("is locked" in message for message in caplog.messages) == 1


def test_back_off_doubles(fake: FakeMarathon) -> None:
    times: list[float] = []
    fake.lock_app("/web")
    with Driven(fake, "web") as driven:
        scale = driven.scheduler.orchestrator.scale
        driven.scheduler.orchestrator.scale = lambda *a: (times.append(time.monotonic()), scale(*a))
        driven.demand(1)
        driven.until(lambda: len(times) >= 4)
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= least for gap, least in zip(gaps, (0.25, 0.5, 1.0), strict=False))


def test_a_missing_app_is_said_once_and_hinders_nobody(fake: FakeMarathon, caplog) -> None:
    with Driven(fake, "nobody", "web") as driven:
        driven.demand(5, 4)
        driven.until(lambda: driven.counts() == [(0, 0), (4, 4)])
        assert fake.puts("/nobody") == []
        fake.add("/nobody", 1)
        driven.until(lambda: driven.counts()[0] == (1, 1))
        driven.demand(3, 4)
        driven.until(lambda: driven.counts() == [(3, 3), (4, 4)])
    assert [m for m in caplog.messages if "nobody" in m] == [
        f"nobody: Marathon at {fake.url} has no app nobody; waiting for it, as the agent creates none"
    ]


def test_a_forbidden_app_is_said_once_and_hinders_nobody(fake: FakeMarathon, caplog) -> None:
    fake.forbidden.add("/web")
    with Driven(fake, "web", "team/mail") as driven:
        driven.demand(5, 4)
        driven.until(lambda: driven.counts() == [(2, 2), (4, 4)])
        driven.until(lambda: not driven.tasks.tasks[0].backing_off)
        driven.demand(5, 4)
        driven.until(lambda: fake.puts("/web")[:2] == [403, 403])
    assert sum("Not Authorized" in message for message in caplog.messages) == 1


def test_two_tasks_that_are_the_same_app(fake: FakeMarathon, caplog) -> None:
    with Driven(fake, "web", "/web") as driven:
        driven.demand(3, 1)
        driven.until(lambda: driven.counts() == [(3, 3), (0, 0)])
    assert caplog.messages == ["/web: is the same app as the task web, so it is left alone"]


def test_drain_is_over_once_it_is_accepted(fake: FakeMarathon) -> None:
    fake.apps["/web"].stop_s = 60.0
    with Driven(fake, "web", "team/mail", "nobody") as driven:
        driven.scheduler.drain(driven.tasks)
        driven.until(lambda: driven.scheduler.idle(driven.tasks))
        assert [app.instances for app in fake.apps.values()] == [0, 0]
        assert fake.running("/web") == 2
        assert driven.scheduler.left() == []


def test_drain_names_what_it_could_not_stop(fake: FakeMarathon) -> None:
    fake.lock_app("/web")
    with Driven(fake, "web", "team/mail") as driven:
        driven.scheduler.drain(driven.tasks)
        driven.until(lambda: driven.counts()[1][0] == 0)
        assert not driven.scheduler.idle(driven.tasks)
        assert driven.scheduler.left() == ["2 of web"]


def test_wrong_credentials_end_the_agent_only_at_the_start(fake: FakeMarathon) -> None:
    with Driven(fake, "web") as driven:
        fake.user = "somebody:else"
        with pytest.raises(TemporaryError, match="HTTP 401"):
            driven.scheduler.count_all_tasks(driven.tasks)
    with pytest.raises(PermanentError, match="HTTP 401"):
        Driven(fake, "web")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v2/apps", b"", 200),
        ("GET", "/v2/apps/web", b"", 200),
        ("GET", "/v2/apps/nobody", b"", 404),
        ("GET", "/v1/apps", b"", 404),
        ("GET", "/v2/apps?embed=apps.nonsense", b"", 400),
        ("PUT", "/v2/apps/web", b'{"instances": 3}', 200),
        ("PUT", "/v2/apps/web", b"{", 400),
        ("PUT", "/v2/apps/web", b'{"instances": "3"}', 400),
        ("PUT", "/v2/apps/web", b'{"replicas": 3}', 400),
        ("PUT", "/v2/apps/web", b'{"instances": -1}', 422),
        ("PUT", "/v2/apps/nobody", b'{"instances": 1}', 422),
        ("PUT", "/v2/apps/No_body", b'{"instances": 1}', 422),
        ("PATCH", "/v2/apps/web", b"{}", 405),
    ],
)
def test_the_fake_refuses_what_marathon_refuses(
    fake: FakeMarathon, marathon: Marathon, method: str, path: str, body: bytes, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    assert marathon._ask(method, fake.url + path, headers, body).status == status
