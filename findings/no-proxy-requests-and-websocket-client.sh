#!/usr/bin/env bash
# NO_PROXY: requests and websocket-client read the same value otherwise.
#
# One would assume that one process with one NO_PROXY reaches a host either directly or through the proxy, whichever
# of the two libraries asks: both document that they heed the variable.
# NO_PROXY=example.internal covers ws.example.internal for requests, and not for websocket-client, which wants a leading
# dot for that; an entry with a port, or with a capital letter, counts for requests only; a range of IPv6 addresses for
# websocket-client only. So the HTTP half of an agent (its configuration) can go directly while its websocket (its
# metrics) is sent to a proxy that refuses it, or the reverse.
# Seen with requests 2.34.2 (utils.should_bypass_proxies), websocket-client 1.9.0 (_url.py, _is_no_proxy_host).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check requests==2.34.2 websocket-client==1.9.0

env -u no_proxy -u NO_PROXY http_proxy=http://proxy.invalid:3128 "$dir/venv/bin/python" - <<'PY'
import os
from unittest import mock

import requests
import websocket

# Where each of them would connect to, seen at the socket; nothing is sent.
CASES = [
    ("example.internal", "ws.example.internal", True, False),
    (".example.internal", "ws.example.internal", True, True),
    ("example.internal:8080", "example.internal", True, False),
    ("Example.internal", "example.internal", True, False),
    ("fd00::/8", "[fd00::1]", False, True),
    ("10.0.0.0/8", "10.1.2.3", True, True),
]


def reached(connect):
    seen = []

    def getaddrinfo(host, *rest, **more):
        seen.append(host)
        raise OSError("only looking")

    with mock.patch("socket.getaddrinfo", getaddrinfo):
        try:
            connect()
        except Exception:
            pass
    return seen[0] != "proxy.invalid"


print("requests", requests.__version__, "websocket-client", websocket.__version__)
for value, host, by_requests, by_websocket in CASES:
    os.environ["no_proxy"] = value
    got = (reached(lambda: requests.get(f"http://{host}:8080/")), reached(lambda: websocket.create_connection(f"ws://{host}:8080/")))
    print(f"{value:22} {host:20} direct: requests {got[0]}, websocket-client {got[1]}")
    assert got == (by_requests, by_websocket), "they read it otherwise now"
PY
