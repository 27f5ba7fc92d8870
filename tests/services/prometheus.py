"""A real Prometheus that scrapes its targets every other second."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from tests.services.service import Service, ask, find, free_port

CONFIG = """\
# A target that a busy machine keeps from answering in time would pass for one that is down.
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
  - job_name: queue
    static_configs: [{{targets: {targets}}}]
"""


class Prometheus(Service):
    listens = "Server is ready to receive web requests"

    def __init__(self, folder: Path, *targets: str) -> None:
        super().__init__(folder)
        self.targets = targets

    def command(self) -> list[str]:
        self.url = f"http://127.0.0.1:{free_port()}"
        config = self.folder / "prometheus.yml"
        config.write_text(CONFIG.format(targets=json.dumps(self.targets)))
        return [
            find("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def query_url(self, query: str) -> str:
        return f"{self.url}/api/v1/query?query={quote(query)}"

    def result(self, query: str) -> list[object]:
        return list(json.loads(ask(self.query_url(query)))["data"]["result"])
