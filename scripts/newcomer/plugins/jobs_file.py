"""JobsFile: the number that a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Metric, Source, whole_number
from microscaling.plugins import Field
from microscaling.settings import Settings


class FileSource(Source):
    """One small file."""

    def __init__(self, path: str) -> None:
        self.key = self.name = path

    def fetch(self) -> str:
        """Returns the text of the file. Raises MetricError if it cannot be read."""
        try:
            return Path(self.name).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise MetricError(f"{self.name}: {error}") from None


class JobsFileMetric(Metric):
    """The number of jobs in a file (items)."""

    type_name, summary = "JobsFile", "the number that a file holds"
    fields = (Field("jobsPath", "Path", required=True, hint="a file with one whole number"),)

    def __init__(self, path: str) -> None:
        self.source = FileSource(path)

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> JobsFileMetric:
        return cls(values["jobsPath"])

    def read(self, answer: str) -> int:
        text = answer.strip()
        return whole_number(int(text) if text.isdecimal() else text, "the file")


TYPE = JobsFileMetric
