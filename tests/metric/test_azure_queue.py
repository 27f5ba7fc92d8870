"""The length of an Azure queue; with Azurite in tests/contract as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from microscaling.clients.http.client import Client
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.azure_queue import Account, AzureQueueMetric, AzureQueueSource
from tests.metric.faulty import Server, answers, faults
from tests.services.azurite import ACCOUNT, KEY, Azurite, connection_string
from tests.services.service import wait_for

pytest.importorskip("azure.storage.queue", reason="pip install '.[azure]'")

COUNT = "x-ms-approximate-messages-count: "


def properties(count: str):
    """What Azure answers (REST API, Get Queue Metadata): the count is in a header."""
    return answers(b"", "200 OK", "x-ms-version: 2021-02-12", f"{COUNT}{count}")


def account(server: Server, key: str = KEY) -> Account:
    return Account(connection_string=connection_string(server.url(""), key))


def measured(server: Server, deadline_s: float = 10.0) -> AzureQueueMetric:
    metric = AzureQueueMetric("jobs", account(server))
    metric.current = 5
    metric.source = AzureQueueSource("jobs", account(server), deadline_s)
    try:
        metric.update()
    finally:
        metric.source.close()
    return metric


def test_what_is_asked() -> None:
    with Server(properties("12")) as server:
        assert measured(server).current == 12
    head = server.heads[0].decode()
    assert head.startswith(f"GET /{ACCOUNT}/jobs?comp=metadata HTTP/1.1\r\n")
    assert f"Authorization: SharedKey {ACCOUNT}:" in head
    assert len(server) == 1


@pytest.mark.parametrize("count", ["-1", "1.5", "", "NaN", "twelve", "9007199254740993", "9" * 5000])
def test_what_is_no_length_is_an_error(count: str) -> None:
    with Server(properties(count)) as server, pytest.raises(MetricError) as error:
        measured(server)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("fault", FAULTS := faults(b"<EnumerationResults />"))
def test_a_fault_is_an_error_after_one_try(fault: str) -> None:
    with (
        Server(FAULTS[fault]) as server,
        pytest.raises(MetricError, match=r"^Azure queue jobs: |^approximate "),
    ):
        measured(server, deadline_s=0.5)
    assert len(server) <= 1, "asked once, if the machine was not too busy even for that"


def test_an_answer_without_the_header_is_an_error() -> None:
    with (
        Server(answers(b"")) as server,
        pytest.raises(MetricError, match="approximate message count of jobs"),
    ):
        measured(server)


def test_what_azure_says_is_in_the_error() -> None:
    said = b"<?xml version='1.0'?><Error><Code>QueueNotFound</Code><Message>no</Message></Error>"
    server = Server(answers(said, "404 Not Found", "x-ms-error-code: QueueNotFound"))
    with (
        server,
        pytest.raises(MetricError, match=r"^Azure queue jobs: answers with HTTP 404, QueueNotFound$"),
    ):
        measured(server)


def test_a_redirect_is_not_followed() -> None:
    with Server(properties("7")) as other:
        moved = answers(b"", "302 Found", f"Location: {other.url()}")
        with Server(moved) as server, pytest.raises(MetricError, match="HTTP 302"):
            measured(server)
    assert len(other) == 0


@pytest.mark.parametrize(
    ("account", "problems"),
    [
        (Account("mine", KEY), []),
        (Account(connection_string=connection_string("http://h")), []),
        (Account("", "", "DefaultEndpointsProtocol=https;AccountName=mine;AccountKey=a2V5"), []),
        (Account(), ["AZURE_STORAGE_ACCOUNT_NAME: is not set", "AZURE_STORAGE_ACCOUNT_KEY: is not set"]),
        (Account("mine"), ["AZURE_STORAGE_ACCOUNT_KEY: is not set"]),
        (Account("", KEY), ["AZURE_STORAGE_ACCOUNT_NAME: is not set"]),
        (Account("mine", "hunter22x"), ["AZURE_STORAGE_ACCOUNT_KEY: is not in base64"]),
        (
            Account(connection_string="hunter22"),
            ["AZURE_STORAGE_CONNECTION_STRING: Azure's client cannot use"],
        ),
        (
            Account(connection_string="A=hunter22"),
            ["AZURE_STORAGE_CONNECTION_STRING: Azure's client cannot use"],
        ),
    ],
)
def test_an_account_is_needed(account: Account, problems: list[str]) -> None:
    found: tuple[str, ...] = ()
    try:
        AzureQueueMetric("jobs", account).source.check()
    except ConfigError as error:
        found = error.problems
    assert len(found) == len(problems)
    assert all(said.startswith(problem) for said, problem in zip(found, problems, strict=True))
    assert "hunter22" not in "".join(found) + repr(account)


def test_the_account_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    one, same, other = (
        AzureQueueMetric("q"),
        AzureQueueMetric("q", Account("mine", KEY)),
        AzureQueueMetric("r"),
    )
    assert one.source.key == same.source.key != other.source.key
    assert KEY not in one.source.name


def test_the_library_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.storage.queue", None)
    metric = AzureQueueMetric("q", Account("mine", KEY))
    with pytest.raises(ConfigError, match=r"pip install '\.\[azure\]' in the clone"):
        metric.source.check()
    with pytest.raises(MetricError, match=r"pip install '\.\[azure\]' in the clone"):
        metric.update()


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    make = "from microscaling.metric.azure_queue import *; AzureQueueMetric('q')"
    code = f"import sys; {make}; print([m for m in sys.modules if m.startswith('azure')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_state(tmp_path: Path) -> None:
    with Azurite(tmp_path) as azurite:
        made = Account(connection_string=connection_string(azurite.url))
        everything, visible = (AzureQueueMetric("jobs", made, only) for only in (False, True))
        assert everything.source.key != visible.source.key

        def measure() -> tuple[int, int]:
            everything.update()
            visible.update()
            return everything.current, visible.current

        for metric in (everything, visible):
            with pytest.raises(MetricError, match="QueueNotFound"):
                metric.update()
        with made.queue("jobs", Client()) as client:
            client.create_queue()
            assert measure() == (0, 0), "it is empty"
            for _ in range(5):
                client.send_message("job")
            client.send_message("job", visibility_timeout=3600)
            assert measure() == (6, 5)
            taken = [client.receive_message(visibility_timeout=60) for _ in range(3)]
            assert measure() == (6, 2), "what is in flight and for later is in the count of Azure"
            client.delete_message(taken[0])
            assert measure() == (5, 2)
            # The worker is gone: its messages come back at the end of their time.
            client.update_message(taken[1], visibility_timeout=1)
            wait_for(lambda: measure() == (5, 3))
            for _ in range(40):
                client.send_message("job")
            assert measure() == (45, 45), "of more than it may look at, all count"
            assert client.receive_message().dequeue_count in (1, 2), "a look is no delivery"
        everything.source.close()
        visible.source.close()
