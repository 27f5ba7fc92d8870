"""What can go wrong, by what can be done about it."""

from __future__ import annotations

from collections.abc import Iterable


class MicroscalingError(Exception):
    """The base of every error that this package raises on purpose."""


class ConfigError(MicroscalingError):
    """Settings or a configuration that a person has to mend; one line per problem.

    Every line names the variable, file or field, and the way out.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    @classmethod
    def of(cls, problems: Iterable[str]) -> ConfigError:
        """All the problems of one file at once."""
        return cls(*problems)


class ServerError(ConfigError):
    """The settings are in order, but the server that they name has no use: it is gone, or answers
    what nobody can use."""


class Stopped(MicroscalingError):
    """What was waited for is not needed any more."""


class PermanentError(MicroscalingError):
    """Trying again will not help."""


class TemporaryError(MicroscalingError):
    """Worth trying again, after `delay_s` seconds if the other side named a time."""

    def __init__(self, message: str, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class MetricError(MicroscalingError):
    """A measurement that could not be had. Never to be read as a zero."""


UNEXPECTED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
"""What it raises to look into an answer that is not of the form that it should have; RuntimeError is what
Python says of JSON that is nested too deeply, and the Docker library of a line that is cut short."""
