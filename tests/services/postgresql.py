"""A real PostgreSQL, with a password that a URL has to quote."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.services.service import Service, find, free_port

PASSWORD = "s3cret@/:"
QUOTED = "s3cret%40%2F%3A"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def as_other_user(command: list[str]) -> list[str]:
    """PostgreSQL and PgBouncer refuse to be root's."""
    if os.geteuid() != 0:
        return command
    return [find("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


class OtherUsersService(Service):
    """A service that is not root's: what pytest gives is root's alone, so it has a folder elsewhere."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = Path(tempfile.mkdtemp(prefix="mss-"))

    def own(self) -> None:
        """Gives all that is in the folder to the other user."""
        if os.geteuid() == 0:
            for path in (self.data, *self.data.rglob("*")):
                shutil.chown(path, "postgres", "postgres")

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.data, ignore_errors=True)


class PostgreSQL(OtherUsersService):
    listens = "database system is ready to accept connections"
    end_with = signal.SIGINT  # "fast": it does not wait for the clients

    def command(self) -> list[str]:
        password = self.data / "password"
        password.write_text(PASSWORD)
        self.own()
        initdb = "--no-sync --username me --auth scram-sha-256 --encoding UTF8 --no-locale"
        command = [find("initdb", *PROGRAMS), *initdb.split(), "--pwfile", str(password)]
        made = subprocess.run(
            as_other_user([*command, "--pgdata", f"{self.data}/db"]),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert made.returncode == 0, made.stderr
        port = free_port()
        self.url = f"postgresql://me:{QUOTED}@127.0.0.1:{port}/postgres"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": self.data,
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "shared_buffers": "32MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return as_other_user([find("postgres", *PROGRAMS), "-D", f"{self.data}/db", *options])

    @property
    def address(self) -> str:
        return self.url.rpartition("@")[2].partition("/")[0]

    def client(self, database: str = "postgres") -> Any:
        import psycopg

        return psycopg.connect(self.of(database), autocommit=True)

    def of(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"{self.url.rpartition('/')[0]}/{database}"

    def create(self, database: str) -> str:
        """Makes an empty database; returns its URL."""
        with self.client() as client:
            client.execute(f"CREATE DATABASE {database}")
        return self.of(database)


class PgBouncer(OtherUsersService):
    """A pool in front of a PostgreSQL, which gives each transaction any of its few connections."""

    listens = "process up"

    def __init__(self, folder: Path, database: PostgreSQL) -> None:
        super().__init__(folder)
        self.database = database

    def command(self) -> list[str]:
        port = free_port()
        self.url = self.database.url.replace(self.database.address, f"127.0.0.1:{port}")
        host, _, behind = self.database.address.rpartition(":")
        users, lines = self.data / "users", self.data / "pgbouncer.ini"
        users.write_text(f'"me" "{PASSWORD}"\n')
        lines.write_text(
            f"[databases]\n* = host={host} port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 1\n"
        )
        self.own()
        return as_other_user([find("pgbouncer"), str(lines)])
