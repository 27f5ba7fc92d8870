"""A real MariaDB, with a password that a URL has to quote."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from tests.services.service import Service, find, free_port

PASSWORD = "s3cret@/:"
QUOTED = "s3cret%40%2F%3A"


class MariaDB(Service):
    listens = "ready for connections"
    certificate: tuple[object, object] | None = None
    """The files of a certificate and its key, for TLS."""

    def command(self) -> list[str]:
        data = f"--datadir={self.folder}/db"
        user = ["--user=root"] if os.geteuid() == 0 else []
        install = [find("mariadb-install-db"), "--no-defaults", data, "--skip-test-db", *user]
        made = subprocess.run(install, capture_output=True, text=True, check=False, cwd=self.folder)
        assert made.returncode == 0, made.stdout + made.stderr
        port = free_port()
        self.url = f"mysql://me:{QUOTED}@127.0.0.1:{port}/jobs"
        (self.folder / "init.sql").write_text(
            f"CREATE DATABASE jobs;\nCREATE USER me@'%' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO me@'%';\n"
        )
        # Its socket is in a short path, as a longer one than 107 bytes is refused.
        self.socket = f"/tmp/mss-{port}.sock"
        options = (
            f"--bind-address=127.0.0.1 --port={port} --socket={self.socket} --pid-file={self.folder}/pid"
        )
        small = "--innodb-buffer-pool-size=16M --innodb-log-file-size=8M"
        quick = f"--skip-name-resolve --innodb-flush-log-at-trx-commit=0 {small}"
        return [
            find("mariadbd"),
            "--no-defaults",
            data,
            *user,
            *options.split(),
            *quick.split(),
            f"--init-file={self.folder}/init.sql",
            *self._tls(),
        ]

    def _tls(self) -> list[str]:
        if self.certificate is None:
            return []
        cert, key = self.certificate
        return [f"--ssl-cert={cert}", f"--ssl-key={key}"]

    @property
    def address(self) -> str:
        return self.url.rpartition("@")[2].partition("/")[0]

    def client(self) -> Any:
        import pymysql

        port = int(self.address.rpartition(":")[2])
        return pymysql.connect(
            host="127.0.0.1", port=port, user="me", password=PASSWORD, database="jobs", autocommit=True
        )
