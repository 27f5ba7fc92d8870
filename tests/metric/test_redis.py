"""The length of a queue in Redis; with a real one in tests/contract as well."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import missing
from microscaling.metric.redis import RedisMetric, RedisSource
from tests.metric.proxy import Pipe, Proxy
from tests.services.redis import PASSWORD, QUOTED, RedisServer
from tests.services.service import free_port

pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")

URL = "redis://127.0.0.1:1"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server, server.client() as client:
        client.rpush("list", *"abc")
        for _ in range(4):
            client.xadd("stream", {"a": 1})
        client.xgroup_create("stream", "group", "0")
        client.xreadgroup("group", "one", {"stream": ">"}, count=1)
        client.xreadgroup("group", "two", {"stream": ">"}, count=2)
        client.xgroup_create("stream", "idle", "0")
        yield server


def measured(url: str, key: str, kind: str = "list", group: str = "", times: int = 1) -> int:
    metric = RedisMetric(url, key, kind, group)
    metric.current = 77
    try:
        for _ in range(times):
            metric.update()
    finally:
        metric.source.close()
    return metric.current


@pytest.mark.parametrize(
    ("what", "count"),
    [
        (("list",), 3),
        (("nothing",), 0),
        (("stream", "stream"), 4),
        (("nothing", "stream"), 0),
        (("stream", "group", "group"), 3),
        (("stream", "group", "idle"), 0),
    ],
)
def test_what_redis_counts(redis: Any, what: tuple[str, ...], count: int) -> None:
    assert measured(redis.url, *what, times=2) == count


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            ("stream",),
            r"LLEN stream: WRONGTYPE .*; is it of another kind: list, stream, group, zset or due\?",
        ),
        (("list", "stream"), "XLEN list: WRONGTYPE"),
        (("nothing", "group", "g"), "XPENDING nothing g: NOGROUP"),
        (("stream", "group", "g"), "XPENDING stream g: NOGROUP"),
    ],
)
def test_what_redis_refuses_is_an_error(redis: Any, what: tuple[str, ...], said: str) -> None:
    with pytest.raises(MetricError, match=said):
        measured(redis.url, *what)


@pytest.mark.parametrize("password", ["", ":wrong@", "nobody:wrong@"])
def test_without_the_password_there_is_no_number(redis: Any, password: str) -> None:
    address = redis.url.rpartition("@")[2]
    with pytest.raises(MetricError, match=r"(?i)auth|password") as error:
        measured(f"redis://{password}{address}", "list")
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize("kind", ["list", "stream"])
def test_what_is_missing_may_hold_the_task(redis: Any, kind: str) -> None:
    metric = RedisMetric(redis.url, "nothing", kind)
    metric.update()
    assert metric.current == 0
    metric.missing = "held"
    with pytest.raises(MetricError, match=r"LEN nothing: there is no such key$"):
        metric.update()
    metric.source.close()


def test_an_empty_stream_is_not_a_missing_one(redis: Any) -> None:
    with redis.client() as client:
        client.xadd("emptied", {"a": 1})
        client.xtrim("emptied", 0)
    metric = RedisMetric(redis.url, "emptied", "stream")
    metric.missing = "held"
    metric.update()
    assert metric.current == 0
    metric.source.close()


def test_a_group_that_is_missing_may_count_as_empty(redis: Any) -> None:
    metric = RedisMetric(redis.url, "stream", "group", "g")
    assert metric.missing == "held"
    metric.missing = "empty"
    metric.update()
    assert metric.current == 0
    metric.source.close()


@pytest.mark.parametrize(
    ("key", "kind", "meant"),
    [
        ("lits", "list", "list"),
        ("STREAM", "stream", "stream"),
        ("lits", "stream", ""),
        ("jobs", "list", "rq:jobs"),
    ],
)
def test_a_misspelt_key_is_said_once(
    redis: Any, key: str, kind: str, meant: str, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    with redis.client() as client:
        client.lpush("rq:jobs", "x")
    assert measured(redis.url, key, kind, times=3) == 0
    name = redis.url.rpartition("@")[2]
    said = (
        f'Redis at redis://{name}: the key "{key}" has not existed since the start, but "{meant}" exists: is'
    )
    assert [message.startswith(said) for message in caplog.messages] == [True] * bool(meant)


def test_without_the_right_to_look_for_other_keys_nothing_is_said(
    redis: Any, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    address = redis.url.rpartition("@")[2]
    with redis.client() as client:
        client.acl_setuser(
            "narrow", enabled=True, passwords=["+word"], keys=["*"], commands=["+llen", "+xlen"]
        )
    assert measured(f"redis://narrow:word@{address}", "lits", times=3) == 0
    assert measured(f"redis://narrow:word@{address}", "straem", "stream", times=3) == 0
    assert caplog.messages == []


def test_of_very_many_keys_some_are_looked_at(redis: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    with redis.client() as client:
        client.select(3)
        client.mset({f"key:{i}": "" for i in range(30_000)})
        client.config_resetstat()
        assert measured(f"{redis.url}/3", "lits", times=3) == 0
        calls = client.info("commandstats")
        client.flushdb()
    assert calls["cmdstat_scan"]["calls"] == 10


def test_a_socket(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    command = server.command
    path = f"{tmp_path}/redis socket"
    server.command = lambda: [*command(), "--unixsocket", path]  # type: ignore[method-assign]
    url = f"unix://:{QUOTED}@{path}".replace(" ", "%20")
    with server, server.client() as client:
        client.rpush("list", *"ab")
        assert measured(url, "list", times=2) == 2
        assert measured(f"{url}?db=1", "list") == 0
        with pytest.raises(MetricError, match=rf"^Redis at unix://{tmp_path}"):
            measured(url.replace(QUOTED, "wrong"), "list")
    with pytest.raises(MetricError, match="No such file"):
        measured(url, "list")


@pytest.mark.parametrize("password", ["p@ss", "é€:+%zz", "a&b=c;d"])
def test_a_raw_password_arrives(tmp_path: Path, password: str) -> None:
    server = RedisServer(tmp_path)
    command = server.command
    server.command = lambda: [*command(), "--requirepass", password]  # type: ignore[method-assign]
    with server:
        assert measured(f"redis://:{password}@127.0.0.1:{server.port}/0", "list") == 0


def test_another_database(redis: Any) -> None:
    assert measured(f"{redis.url}/1", "list") == 0
    with pytest.raises(MetricError, match="out of range"):
        measured(f"{redis.url}/99", "list")


def test_a_connection_is_kept_and_a_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with server, server.client() as client:
        metric = RedisMetric(server.url, "list")
        metric.update()
        metric.update()
        assert len(client.client_list()) == 2
    with pytest.raises(MetricError, match="Connection refused"):
        metric.update()
    port, options = f"{server.port}", server.command()
    options[options.index("--port") + 1] = port
    server.command = lambda: options  # type: ignore[method-assign]
    with server:
        metric.update()
        metric.source.close()


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(redis: Any) -> None:
    def says_more(pipe: Pipe, answer: bytes) -> bool:
        pipe.client.sendall(answer + b":8\r\n")
        return True

    address = redis.url.rpartition("@")[2]
    with Proxy(address) as proxy:
        metric = RedisMetric(redis.url.replace(address, proxy.endpoint), "list")
        metric.update()
        with proxy.broken(says_more):
            metric.update()
        metric.update()
        metric.source.close()
    assert metric.current == 3


def test_tls(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """Debian's Redis speaks TLS."""
    cert, key = certificate
    server, port = RedisServer(tmp_path), free_port()
    options = f"--port 0 --tls-port {port} --tls-cert-file {cert} --tls-key-file {key} --tls-auth-clients no"
    plain = server.command()
    options += f" --bind 127.0.0.1 --dir {tmp_path} --requirepass {PASSWORD}"
    server.command = lambda: [plain[0], "--save", "", *options.split()]  # type: ignore[method-assign]
    url = server.url.replace("redis://", "rediss://").rpartition(":")[0] + f":{port}"
    with server:
        assert measured(f"{url}?ssl_ca_certs={cert}", "list", times=2) == 0
        for options in ("ssl_cert_reqs=none", "ssl_cert_reqs=CERT_NONE&ssl_check_hostname=true"):
            assert measured(f"{url}?{options}", "list") == 0
        with pytest.raises(MetricError, match="certificate verify failed"):
            measured(url, "list")
        with pytest.raises(MetricError):
            measured(url.replace("rediss", "redis"), "list")


def test_a_tls_handshake_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        source = RedisSource(f"rediss://127.0.0.1:{deaf.getsockname()[1]}", ("LLEN", "k"), deadline_s=0.3)
        with pytest.raises(MetricError, match=r"no complete answer within 0\.3 s"):
            source.fetch()


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:6379", "http://h", "redis://", "redis:///0", "redis://h:x", "redis://h:0", "redis://h:99999",
     "redis://:pa/ss@h", "redis://[::1", "redis://h/0 1", "redis://h/jobs", "redis://h/1/2", "redis://h/-1",
     "redis://u:1/pa@h", "redis://:a#pa@h", "redis://:a?pa@h", "unix://run/redis.sock", "unix://",
     "unix://:pa/ss@/run/redis.sock", "unix:///run/redis.sock#1", "redis://${HOST}/0"],
)  # fmt: skip
def test_bad_url(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected redis://") as error:
        RedisMetric(url, "k")
    assert not any(part in str(error.value) for part in ("pa/ss", "pa@", "1/2", "jobs"))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(("",), "key"), (("k", "set"), "kind"), (("k", "group"), "group"), (("k", "list", "g"), "group")],
)
def test_bad_arguments(arguments: tuple[str, ...], field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: "):
        RedisMetric(URL, *arguments)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?db=hunter22", "the option db"),
        ("?no_such_option=hunter22", "the option no_such_option"),
        ("?ssl_ca_certs=hunter22", "the option ssl_ca_certs"),
        ("?max_connections=5", "the option max_connections"),
        ("?protocol=9", "the option protocol"),
        ("?socket_timeout=5&ssl_cert_reqs=hunter22", "the option ssl_cert_reqs"),
    ],
)
def test_an_option_that_the_library_does_not_take(query: str, said: str) -> None:
    known = rf"^Redis at redis://127.0.0.1:1: its URL cannot be used \({said}"
    with pytest.raises(ConfigError, match=known) as error:
        RedisMetric(URL + query, "k").source.check()
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_for_tls_that_is_not_there_is_named(option: str, tmp_path: Path) -> None:
    url = f"rediss://127.0.0.1:1?{option}={tmp_path}/none"
    said = rf"\(the option {option}: No such file or directory\)$"
    with pytest.raises(ConfigError, match=said):
        RedisMetric(url, "k").source.check()


def test_the_scheme_in_capitals() -> None:
    RedisMetric(URL.replace("redis", "REDIS"), "k").source.check()


def test_equal_questions_are_one_source_and_the_password_is_nowhere() -> None:
    one, same, other = (RedisMetric("redis://:hunter22@h", key) for key in ("k", "k", "l"))
    assert one.source.key == same.source.key != other.source.key
    assert one.source.name == "Redis at redis://h"


def test_the_library_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.connection", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[redis\]' in the clone"):
        RedisMetric(URL, "k").source.check()
    with pytest.raises(MetricError, match=r"pip install '\.\[redis\]' in the clone"):
        RedisMetric(URL, "k").update()


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    make = f"from microscaling.metric.redis import *; RedisMetric({URL!r}, 'k')"
    code = f"import sys; {make}; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
