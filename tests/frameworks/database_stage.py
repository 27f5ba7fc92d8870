"""A stage whose framework is in PostgreSQL; the books are in a Redis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.frameworks.stage import HERE, NODE_MODULES, Stage
from tests.services.postgresql import PostgreSQL
from tests.services.service import CACHE, find, skip_slow

PYTHON_PACKAGES = CACHE / "workers-of-postgresql"
"""Where `scripts/test-services` puts the frameworks of Python."""


class DatabaseStage(Stage):
    """The frameworks' view of a database of their own in one PostgreSQL."""

    def __init__(self, server: PostgreSQL, redis: str, folder: Path, module: str) -> None:
        super().__init__(redis, folder, module)
        self.server = server
        self.database = f"of_{os.urandom(4).hex()}"
        self.url = server.create(self.database)
        self.environ |= {"PYTHONPATH": f"{PYTHON_PACKAGES}{os.pathsep}{HERE}", "JOBS_DATABASE": self.url}

    def look_for(self, folder: Path) -> None:
        super().look_for(PYTHON_PACKAGES)

    def do(self, statement: str) -> Any:
        """Executes a statement in the framework's database; returns the rows of a query."""
        with self.server.client(self.database) as client:
            cursor = client.execute(statement)
            return cursor.fetchall() if cursor.description else None


class NodeDatabaseStage(DatabaseStage):
    """The same of a framework of Node; `module` is its package."""

    def look_for(self, folder: Path) -> None:
        Stage.look_for(self, NODE_MODULES / "of-postgresql")

    def side_command(self) -> list[str]:
        return self.node()

    def node(self, *more: str) -> list[str]:
        """The command of a process with the framework."""
        packages = NODE_MODULES / "of-postgresql/node_modules"
        return [find("node"), str(HERE / "postgresql_jobs.js"), str(packages), self.module, *more]


class RiverStage(DatabaseStage):
    """The same of River, whose side `make test-sources` builds."""

    program = str(CACHE / "bin/river-jobs")

    def look_for(self, folder: Path) -> None:
        if not Path(self.program).exists():
            skip_slow("there is no River here")

    def side_command(self) -> list[str]:
        return [self.program]
