"""Workers that end when their job is done, and a queue for them: files in a folder, counted over HTTP."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from tests.services.numbers import Numbers

WORKER = """
for job in {folder}/waiting/*; do
    mv "$job" {folder}/begun/ 2>/dev/null || continue
    sleep {job_s}
    mv {folder}/begun/"${{job##*/}}" {folder}/done/
    exit 0
done
exit 0
"""


class Jobs:
    """A queue of files. A worker takes one, works for `job_s` seconds, and ends with code 0; without
    a job it ends with code 0 as well."""

    def __init__(self, folder: Path, job_s: float) -> None:
        self.folder = folder
        for name in ("waiting", "begun", "done"):
            (folder / name).mkdir()
        (folder / "worker.sh").write_text(WORKER.format(folder=folder, job_s=job_s))
        self.command = f"sh {folder}/worker.sh"
        self._numbers = 0
        self._server = Numbers(self.count)

    def __enter__(self) -> Jobs:
        self._server.__enter__()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.__exit__()

    @property
    def metric(self) -> dict[str, str]:
        return {"url": self._server.url("waiting")}

    def put(self, count: int) -> None:
        for _ in range(count):
            self._numbers += 1
            (self.folder / "waiting" / f"{self._numbers:06}").touch()

    def count(self, state: str) -> int:
        return sum(1 for _ in (self.folder / state).iterdir())
