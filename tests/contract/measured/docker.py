"""A container of a real engine, by the memory that it uses."""

from __future__ import annotations

import contextlib
import time
import uuid
from contextlib import AbstractContextManager

from microscaling.clients.docker.compose import ENABLED, PROJECT, SERVICE
from microscaling.metric.base import Metric
from microscaling.metric.docker import MEMORY, DockerMetric
from microscaling.metric.docker_stats import LOOK_S
from microscaling.settings import Settings
from tests.contract.measured.base import Remote
from tests.integration import engines
from tests.metric.proxy import Proxy


class DockerMemory(Remote):
    """Files in its memory count to the byte. It is one of Compose's, as agents of other tests would take one
    with our label for theirs."""

    type_name = "Docker"
    settles = True

    def start(self) -> None:
        host = engines.host_of_the_machine()
        self.engine = self.stack.enter_context(engines.client_with_images(host))
        self.target = host.removeprefix("unix://")
        self.project = f"mss-sources-{uuid.uuid4().hex[:8]}"
        labels = {ENABLED: "true", PROJECT: self.project, SERVICE: "jobs"}
        options = self.engine.create_host_config(network_mode="none", tmpfs={"/jobs": ""})
        made = self.engine.create_container(
            engines.BUSYBOX, ["sleep", "3600"], labels=labels, host_config=options
        )
        self.id = made["Id"]
        self.stack.callback(self.engine.remove_container, self.id, force=True)
        self.engine.start(self.id)

    def connected(self) -> AbstractContextManager[object]:
        self.proxy = Proxy(self.target)
        return self.proxy

    def environment(self) -> dict[str, str]:
        return {"MSS_COMPOSE_PROJECT": self.project}

    def metric(self) -> Metric:
        settings = Settings(scheduler="COMPOSE", docker_host=f"tcp://{self.proxy.endpoint}")
        metric = DockerMetric(settings, MEMORY, young_s=0)
        metric.task = "jobs"
        return metric

    def broken(self, fault: str) -> AbstractContextManager[None]:
        time.sleep(LOOK_S)  # until then the last answer counts
        return super().broken(fault)

    def set(self, count: int) -> None:
        line = f"rm -f /jobs/*; dd if=/dev/zero of=/jobs/all bs=1M count={count}"
        # Another connection, that is over with it: one of a test would pass for left behind.
        with contextlib.closing(engines.connect()) as engine:
            engine.exec_start(engine.exec_create(self.id, ["sh", "-c", line])["Id"])


KINDS = (DockerMemory,)
