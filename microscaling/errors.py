"""Errors, by the possible reaction: fix the settings, retry, or give up."""

from __future__ import annotations

from collections.abc import Iterable


class MicroscalingError(Exception):
    """The base of every error that this package raises on purpose."""


class ConfigError(MicroscalingError):
    """Settings or a configuration that a person has to fix; one line per problem.

    Every line names the variable, file or field, and the remedy.
    """

    exit_code = 2
    """Code with which a process ends that cannot start because of it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    @classmethod
    def of(cls, problems: Iterable[str]) -> ConfigError:
        """All the problems of one file at once."""
        return cls(*problems)


class ServerError(ConfigError):
    """The settings are valid, but their server is gone, or its answers are unusable."""

    exit_code = 1


class InUseError(ConfigError):
    """The settings are valid, but another process uses the thing that they name, and may end."""

    exit_code = 1


class Stopped(MicroscalingError):
    """A wait was ended by a request to stop."""


class PermanentError(MicroscalingError):
    """A failure that a retry cannot mend."""


class TemporaryError(MicroscalingError):
    """A failure that is worth a retry, after `delay_s` seconds if the other side named a delay.

    `hopeless`: only a person can mend it, so a start does not wait for that. An agent that runs goes on.
    """

    def __init__(self, message: str, delay_s: float | None = None, hopeless: bool = False) -> None:
        super().__init__(message)
        self.delay_s = delay_s
        self.hopeless = hopeless


class NotReady(TemporaryError):
    """A container has not loaded yet, or takes no requests yet: the answer to a question, and no failure."""


class MetricError(MicroscalingError):
    """A failed measurement. It must never count as a zero."""


UNEXPECTED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
"""Errors of code that reads an answer of an unexpected form."""
# RuntimeError: Python raises RecursionError for JSON that is nested too deeply, and the Docker library raises
# RuntimeError for a line that is cut short.
