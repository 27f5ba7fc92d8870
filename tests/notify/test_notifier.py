"""Messages: sent once, kept while the other side is away, dropped when there are too many."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError
from microscaling.notify import notifier
from microscaling.notify.destination import Chat, Webhook, destinations
from microscaling.notify.message import Message, template_of
from microscaling.notify.notifier import MOST, Notifier, kinds_of, notifiers
from microscaling.settings import Settings
from microscaling.watch.events import KINDS, USUAL, Event
from tests.pages import DOCS, blocks_of
from tests.services.service import free_port, wait_for
from tests.test_main import TOY, run, start

# One of its many services imports it, with the Pythons that still have it.
OLD_MODULE = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
HELD = Event("held", "redis://db: no answer", "mailer", True)


class Receiver:
    """A real HTTP server that keeps what it gets, and answers with the statuses in turn, then with 204."""

    def __init__(self, *statuses: int, port: int = 0) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.paths.append(self.path)
                receiver.got.append(json.loads(body))
                status = left.pop(0) if left else 204
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.host}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "FIRST_S", 0.05)
    monkeypatch.setattr(notifier, "MAX_S", 0.2)
    monkeypatch.setattr(notifier, "LAST_S", 30.0)  # a busy machine may take long for what is left


def begun(url: str, kinds: tuple[str, ...] = USUAL, token: str = "") -> Notifier:
    made = Notifier(Webhook(url, token, "shop"), kinds)
    made.start()
    return made


def end(made: Notifier) -> None:
    made.stop()
    made.join(20)
    assert made.over
    assert made.error is None


def test_a_message_is_a_cloud_event(receiver: Receiver) -> None:
    made = begun(f"{receiver.url}/hooks?x=1", token="a-token")
    made.put([HELD, Event("scaled", "0 -> 1", "mailer")])
    wait_for(lambda: receiver.got)
    end(made)
    (event,), (headers,) = receiver.got, receiver.headers
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert headers["authorization"] == "Bearer a-token"
    assert receiver.paths == ["/hooks?x=1"]
    assert uuid.UUID(event.pop("id")).version == 4
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("time"))
    host, data = socket.gethostname(), event.pop("data")
    assert event == {
        "specversion": "1.0",
        "source": f"/microscaling/shop/{host}",
        "type": "com.microscaling.task.held",
        "subject": "mailer",
        "datacontenttype": "application/json",
    }
    del data["version"]
    assert data == {
        "event": "held", "active": True, "task": "mailer", "text": "redis://db: no answer", "agent": host
    }  # fmt: skip


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_it_is_sent_again_with_the_same_id(status: int) -> None:
    receiver = Receiver(status, status)
    made = begun(receiver.url)
    made.put([HELD, Event("held", "second", "mailer", True)])
    wait_for(lambda: len(receiver.got) == 4)
    end(made)
    receiver.close()
    assert [event["data"]["text"] for event in receiver.got] == [HELD.text] * 3 + ["second"]
    assert len({event["id"] for event in receiver.got}) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
def test_what_is_refused_is_not_sent_again(status: int, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(status)
    made = begun(f"{receiver.url}/secret-path")
    made.put([HELD, Event("held", "second", "mailer", True)])
    wait_for(lambda: len(receiver.got) == 2)
    end(made)
    receiver.close()
    assert [event["data"]["text"] for event in receiver.got] == [HELD.text, "second"]
    assert (
        f"a message is refused, and not sent again: {receiver.host}: answers with HTTP {status}"
        in caplog.text
    )
    assert "secret-path" not in caplog.text


def test_while_it_is_away_they_wait_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    port = free_port()
    made = begun(f"http://127.0.0.1:{port}/secret-path")
    made.put([HELD])
    wait_for(lambda: "cannot be sent" in caplog.text)
    wait_for(lambda: made.backoff.tries > 2)
    receiver = Receiver(port=port)
    wait_for(lambda: receiver.got)
    wait_for(lambda: "messages arrive again" in caplog.text)
    end(made)
    receiver.close()
    assert caplog.text.count("cannot be sent") == 1
    assert "secret-path" not in caplog.text


def test_too_many_lose_the_oldest_and_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections, and answers nothing
        made = begun("http://{}:{}".format(*deaf.getsockname()))
        for i in range(3 * MOST):
            made.put([Event("held", str(i), "mailer", True)])
        assert len(made._waiting) == MOST
        assert made._waiting[-1][1].event.text == str(3 * MOST - 1)
        assert made.dropped == 2 * MOST
        assert caplog.text.count("the oldest are dropped") == 1
        made.stop()
    made.join(20)
    assert made.over


def test_old_news_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "MAX_AGE_S", 0.0)
    made = begun(f"http://127.0.0.1:{free_port()}")
    made.put([HELD])
    wait_for(lambda: not made._waiting)
    end(made)


def test_a_library_that_fails_at_the_end() -> None:
    made = begun("http://127.0.0.1:1", ("stopping",))

    def send(message: object) -> None:
        raise RuntimeError("of a library")

    made.destination.send = send  # type: ignore[method-assign]
    end(made)


def test_its_own_start_and_end(receiver: Receiver) -> None:
    made = begun(receiver.url, ("started", "stopping", "held"))
    wait_for(lambda: receiver.got)
    made.put([HELD])
    end(made)
    assert [event["type"].removeprefix("com.microscaling.") for event in receiver.got] == [
        "agent.started", "task.held", "agent.stopping",
    ]  # fmt: skip
    assert "subject" not in receiver.got[0]


@OLD_MODULE
def test_chat_by_apprise(receiver: Receiver) -> None:
    url = receiver.url.replace("http://", "json://")
    settings = Settings(notify_url=f"{url}/chat", notify_template="[$agent] $task $state: $text ($event)")
    (chat,) = destinations(settings)
    assert isinstance(chat, Chat)
    assert chat.name == "json"
    chat.send(Message(HELD))
    chat.send(Message(Event("held", "it is measured again", "mailer", False)))
    host = socket.gethostname()
    assert [(got["message"], got["type"]) for got in receiver.got] == [
        (f"[{host}] mailer begins: redis://db: no answer (held)", "warning"),
        (f"[{host}] mailer is over: it is measured again (held)", "success"),
    ]


def test_hostile_text_stays_one_line() -> None:
    line = Message(Event("held", "a\nb\x1b[31m $task \ud800", "mail\ner")).line(template_of(""))
    assert line == r"mail\ner: a\nb\x1b[31m $task " + "\ufffd"
    assert b"\\ud800" not in Message(Event("held", "\ud800", "\ud800")).cloud_event("s")


BAD = [
    ({"notify_url": "hooks.example.com/x"}, "MSS_NOTIFY_URL: expected addresses such as https://host/path"),
    ({"notify_url": "https://"}, 'MSS_NOTIFY_URL: "https"://... has no host, or no valid port'),
    ({"notify_url": "https://host:99999/"}, 'MSS_NOTIFY_URL: "https"://... has no host, or no valid port'),
    ({"notify_url": "nosuch://token@room"}, "MSS_NOTIFY_URL: nosuch://... is no address of a service"),
    ({"notify_events": "heldd"}, 'there is no event "heldd"; did you mean held? there are all, '),
    ({"notify_template": "$taks"}, "MSS_NOTIFY_TEMPLATE: there is no field $taks: there are $agent, $event"),
    ({"notify_template": "100 $"}, "MSS_NOTIFY_TEMPLATE: Invalid placeholder"),
]


@OLD_MODULE
@pytest.mark.parametrize(("values", "says"), BAD, ids=str)
def test_a_mistake_is_one_clear_line(values: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        notifiers(Settings(**{"notify_url": "http://127.0.0.1:1/", **values}))
    (problem,) = refused.value.problems
    assert says in problem
    assert "token" not in problem


def test_events() -> None:
    assert kinds_of("") == USUAL
    assert kinds_of("held, scaled") == ("held", "scaled")
    assert kinds_of("ALL") == tuple(KINDS)


def test_a_real_agent_tells_what_happens_to_it(receiver: Receiver, tmp_path: Path) -> None:
    apps = json.loads(TOY["MSS_CONFIG_DATA"])
    apps["apps"].append(
        {"name": "crasher", "minContainers": 1, "maxContainers": 1, "ruleType": "Remainder",
         "config": {"command": "false"}}
    )  # fmt: skip
    apps["apps"][0]["config"] = {"command": "sleep 600"}
    agent = start(
        MSS_SCHEDULER="PROCESS", MSS_MONITOR="none", MSS_CONFIG_DATA=json.dumps(apps),
        MSS_NOTIFY_EVENTS="all",
        MSS_NOTIFY_URL=f"{receiver.url}/secret-path", MSS_STATE_DIR=str(tmp_path / "state"),
    )  # fmt: skip

    def types() -> set[str]:
        return {event["type"].removeprefix("com.microscaling.") for event in receiver.got}

    try:
        wait_for(lambda: types() >= {"agent.started", "task.scaled", "task.backoff"})
    finally:
        agent.send_signal(signal.SIGTERM)
        _, said = agent.communicate(timeout=60)
    assert agent.returncode == 0
    assert "agent.stopping" in types()
    assert "secret-path" not in said
    assert f"messages go to {receiver.host}: started, stopping, " in said


def test_the_page_shows_a_message_and_the_events() -> None:
    (block,) = blocks_of(DOCS / "notifications.md", "json")
    ours = json.loads(Message(HELD).cloud_event("5k5gk"))
    shown = json.loads(block.text)
    assert (shown.keys(), shown["data"].keys()) == (ours.keys(), ours["data"].keys())
    assert (shown["type"], shown["subject"]) == (ours["type"], ours["subject"])
    rows = re.findall(
        r"^\| (`.*`) \| (yes)? ?\| (.*) \|$", (DOCS / "notifications.md").read_text(), re.MULTILINE
    )
    listed = {name: usual for names, usual, _ in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {kind: "yes" if kind in USUAL else "" for kind in KINDS}


def test_a_mistake_ends_the_start() -> None:
    code, _, err = run(**TOY, MSS_NOTIFY_URL="http://127.0.0.1:1/", MSS_NOTIFY_EVENTS="helt")
    assert code == 2
    assert err.splitlines()[-1].startswith('microscaling: MSS_NOTIFY_EVENTS: there is no event "helt"; ')


def test_time_is_of_the_event_and_not_of_the_try() -> None:
    message = Message(HELD)
    first = message.cloud_event("s")
    time.sleep(0.01)
    assert message.cloud_event("s") == first
