"""A real Redis, with a password that a URL has to quote."""

from __future__ import annotations

import os
from typing import Any

from tests.services.service import Service, find, free_port

PASSWORD = "s3cret@/:"
QUOTED = "s3cret%40%2F%3A"
OTHER = os.environ.get("MSS_TEST_REDIS", "")
"""Another server of the same protocol, in place of Redis: `make test-sources` has Valkey's."""


class RedisServer(Service):
    listens = "Ready to accept connections"

    def command(self) -> list[str]:
        port = free_port()
        self.url = f"redis://:{QUOTED}@127.0.0.1:{port}"
        options = f"--bind 127.0.0.1 --port {port} --dir {self.folder} --requirepass {PASSWORD}"
        return [OTHER or find("redis-server"), *options.split(), "--save", ""]

    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url)
