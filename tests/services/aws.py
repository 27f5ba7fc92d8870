"""SQS, as moto's server plays it."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tests.services.service import Service, give_up

REGION = "eu-west-1"
KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}


class Moto(Service):
    listens = r"Running on (http://\S+:[1-9][0-9]*)"

    def command(self) -> list[str]:
        if importlib.util.find_spec("moto") is None:
            give_up("there is no moto here")
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]

    def client(self) -> Any:
        """boto3's own client, to fill queues with."""
        import boto3

        keys = {name.lower(): value for name, value in KEYS.items()}
        return boto3.session.Session(region_name=REGION, **keys).client("sqs", endpoint_url=self.url)
