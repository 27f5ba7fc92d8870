"""Azure Queue Storage, as Azurite plays it."""

from __future__ import annotations

from tests.services.service import CACHE, Service, find

ACCOUNT = "devstoreaccount1"
# Not a secret: every Azurite has it (its documentation, "Default storage account").
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def connection_string(endpoint: str, key: str = KEY) -> str:
    return f"AccountName={ACCOUNT};AccountKey={key};QueueEndpoint={endpoint}/{ACCOUNT};"


class Azurite(Service):
    listens = r"successfully listens on (http://\S+:[0-9]+)"

    def command(self) -> list[str]:
        program = find("azurite-queue", CACHE / "node_modules/.bin")
        options = "--queueHost 127.0.0.1 --queuePort 0 --inMemoryPersistence --skipApiVersionCheck"
        return [program, *options.split(), "--disableTelemetry"]
