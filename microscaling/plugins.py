"""Plugins: declarations of metrics, rules, schedulers, monitors and configurations, and their discovery.

Ours are found by a scan of their package: the module is named as the type is (`azure_queue` has
AzureQueue; of a folder, its module `plugin`), and its constant `TYPE` is the plugin. Those of other
packages are found by entry points of the group's name; the entry point has the name of the type and points
to the plugin. Only chosen plugins are imported.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from glob import escape, iglob
from typing import Any, Generic, Protocol, TypeVar

from microscaling.errors import ConfigError
from microscaling.log import keep_secret
from microscaling.secrets.secret_file import SUFFIX
from microscaling.settings import given
from microscaling.utils.text import MAX_OF_REASON, nearest, one_line, quoted

log = logging.getLogger("mssutils")

FILLED_IN = ("url", "headers", "params", "body")
"""Kinds in which ${NAME} is replaced by the agent's environment variable: a URL; an object of HTTP headers;
one of the words behind a URL's `?`, each with a value or a list of them; a text or JSON to send."""
KINDS = ("text", "whole", "number", "flag", "choice", *FILLED_IN)
"""Kinds of fields: a string; a whole number; a number; true or false; one of `choices`; and those above."""


@dataclass(frozen=True)
class Field:
    """One key of a task's `config` that a plugin reads.

    The parser, its error messages, the form of the page, the JSON Schema and the tables of the
    documentation are made from it.
    """

    key: str
    label: str
    """Its name in the form."""
    kind: str = "text"
    default: Any = None
    """The value for `from_config` if the key is absent; None: "", 0, False, {} or None, by kind."""
    required: bool = False
    """Without it the configuration is refused."""
    expected: bool = False
    """Without it there is a warning, and nothing can be measured, as in the Go agent."""
    secret: bool = False
    """Errors do not show its value, as that may be a credential."""
    hint: str = ""
    """A further explanation for the form and the documentation."""
    wide: bool = False
    """Whether the form gives it a line of its own."""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    check: Callable[[Any], object] | None = None
    """Raises ConfigError for a bad value; called with the value after ${NAME} was filled in."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"field {self.key}: kind {self.kind} is none of {', '.join(KINDS)}")
        # The page gets the declarations of all plugins in one answer, so none may break it.
        if not isinstance(self.default, (str, int, float, dict, list, type(None))):
            raise ValueError(f"field {self.key}: the default is no value of JSON")

    @property
    def fills_in(self) -> bool:
        """Whether ${NAME} in its value is replaced by the agent's environment variable."""
        return self.kind in FILLED_IN


@dataclass(frozen=True)
class Variable:
    """One environment variable of a plugin of another package; the variables of ours are settings."""

    name: str
    meaning: str
    default: str = ""
    secret: bool = False
    """Its value is masked in logs, and may be given as a file too: NAME_FILE."""

    def read(self, environ: Mapping[str, str] | None = None) -> str:
        """Returns its value in `environ` (None: the environment of this process); the default if it is unset
        or empty. Raises ConfigError if its file cannot be read."""
        _, value = given(self.name, self.secret, os.environ if environ is None else environ)
        if self.secret and value:
            keep_secret([value])
        return value or self.default

    @property
    def names(self) -> tuple[str, ...]:
        """All names of environment variables that set it."""
        return (self.name, self.name + SUFFIX) if self.secret else (self.name,)


class Plugin(Protocol):
    """The part of a declaration that all kinds of plugins have in common."""

    @property
    def type_name(self) -> str:
        """The value in a configuration or a variable that selects it; case matters."""

    @property
    def summary(self) -> str:
        """A few words for the form and the documentation: "the jobs that are ready in a tube"."""


P = TypeVar("P", bound=Plugin)


class Group(Generic[P]):
    """All plugins of one kind. `package` holds ours; `entry_points` is the group of those of others."""

    def __init__(self, kind: str, package: str, is_one: Callable[[Any], bool]) -> None:
        self.kind = kind
        self.package = package
        self.entry_points = f"microscaling.{kind}s"
        self._is_one = is_one
        self._modules: dict[str, str] | None = None
        self._warned: set[str] = set()

    def find(self, name: str, any_case: bool = False) -> P | None:
        """Returns the plugin of that name, with `any_case` in upper or lower case alike; None if there is
        none. Raises ConfigError if it cannot be loaded."""
        if not name:
            return None  # without a look at other packages, which takes tens of milliseconds
        # Ours first: another package cannot replace one of our types.
        found = self._ours(name)
        if found is not None and (any_case or found.type_name == name):
            if _others_exist(tuple(sys.path)):
                self._warn_of_twin(found.type_name)
            return found
        others = self._others()
        if any_case and name not in others:
            name = next((other for other in others if other.casefold() == name.casefold()), name)
        return self._load(others[name]) if name in others else None

    def names(self) -> list[str]:
        """Returns the names of all plugins in alphabetical order, also of those that cannot be loaded."""
        names = {plugin.type_name for plugin in self.ours()}
        for name in names:
            self._warn_of_twin(name)
        return sorted(names | set(self._others()), key=str.casefold)

    def ours(self) -> list[P]:
        """Returns the plugins of this package that can be loaded, sorted by name; warns once of each other
        one."""
        found: list[P] = []
        for module in self._ours_by_module().values():
            try:
                plugin = self._type_in(module)
            except ConfigError as error:
                self._warn_once(module, error)
            else:
                found += [plugin] if plugin is not None else []
        return sorted(found, key=lambda plugin: plugin.type_name.casefold())

    def all(self) -> list[P]:
        """Returns every plugin that can be loaded, sorted by name; warns once of each other one."""
        found = {plugin.type_name: plugin for plugin in self.ours()}
        for name, entry in self._others().items():
            if name in found:
                self._warn_of_twin(name)
                continue
            try:
                found[name] = self._load(entry)
            except ConfigError as error:
                self._warn_once(name, error)
        return [found[name] for name in sorted(found, key=str.casefold)]

    def chosen(self, variable: str, name: str) -> P:
        """Returns the plugin that an environment variable names, in upper or lower case alike. Raises
        ConfigError with the available names."""
        found = self.find(name, any_case=True)
        if found is None:
            raise not_available(variable, name, self.names())
        return found

    def _ours(self, name: str) -> P | None:
        module = self._ours_by_module().get(name.casefold())
        return self._type_in(module) if module else None

    def _ours_by_module(self) -> dict[str, str]:
        """Maps the name of each type, without case and underscores, to its module. Imports none of them."""
        if self._modules is None:
            path = importlib.import_module(self.package).__path__
            self._modules = {
                module.name.replace("_", ""): f"{self.package}.{module.name}" + ".plugin" * module.ispkg
                for module in pkgutil.iter_modules(path)
            }
        return self._modules

    def _type_in(self, module: str) -> P | None:
        try:
            found: P | None = getattr(importlib.import_module(module), "TYPE", None)
        except ImportError as error:
            if error.name == module:
                return None  # a folder without a plugin
            # A Python that was built without a part of its library, such as sqlite3, lacks one type only.
            reason = one_line(str(error))[:MAX_OF_REASON]
            raise ConfigError(f"the {self.kind} in {module} cannot be loaded: {reason}") from error
        return found

    def _warn_once(self, name: str, error: ConfigError) -> None:
        if name not in self._warned:
            self._warned.add(name)
            log.warning("%s", error)

    def _others(self) -> Mapping[str, Any]:
        return _entry_points(self.entry_points, tuple(sys.path))

    def _warn_of_twin(self, ours: str) -> None:
        """Warns once of each plugin of others that has the name of one of ours, also in another case."""
        for name, twin in self._others().items():
            if name.casefold() != ours.casefold() or name in self._warned:
                continue
            self._warned.add(name)
            # JSON is read to the letter, so there a name in another case is another one.
            where = "" if name == ours else " in YAML and in variables, where upper and lower case are alike"
            log.warning(
                "the plugin %s (%s of %s) is ignored%s: microscaling has the %s %s",
                quoted(name), twin.value, self.entry_points, where, self.kind, ours,
            )  # fmt: skip

    def _load(self, entry: Any) -> P:
        """Imports a plugin of another package. Raises ConfigError, in one line, if that fails."""
        where = f"the plugin {quoted(entry.name)} ({one_line(entry.value)} of {self.entry_points})"
        try:
            found = entry.load()
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise ConfigError(
                f"{where} cannot be loaded: {one_line(f'{type(error).__name__}: {error}')[:MAX_OF_REASON]}"
            ) from error
        if not self._is_one(found):
            raise ConfigError(f"{where} is no {self.kind}: docs/plugins.md has the requirements")
        if found.type_name != entry.name:
            raise ConfigError(
                f"{where} calls itself {quoted(found.type_name)}: both names have to be the same"
            )
        plugin: P = found
        return plugin


def not_available(variable: str, name: str, names: Iterable[str]) -> ConfigError:
    """Returns the error for a variable that names none of what is available."""
    names = list(names)
    other = nearest(name, names)
    hint = f"did you mean {other}? " if other else ""
    return ConfigError(
        f"{variable}={name} is not available in this version; {hint}set {variable} to: {', '.join(names)}"
    )


@functools.cache
def _entry_points(group: str, path: tuple[str, ...]) -> Mapping[str, Any]:
    """Returns the entry points of a group by name; none, with a warning, if the metadata of a package cannot
    be read. `path` is sys.path: the packages are found there."""
    # It takes 1.2 MB and tens of milliseconds, and our own types do without.
    from importlib.metadata import entry_points

    try:
        # Of two packages with the same name the first on sys.path counts, as with modules.
        return {entry.name: entry for entry in reversed(tuple(entry_points(group=group)))}
    except Exception as error:  # a line of an entry_points.txt without "=", for example
        reason = one_line(f"{type(error).__name__}: {error}")[:MAX_OF_REASON]
        log.warning("%s: the entry points of the packages cannot be read: %s", group, reason)
        return {}


@functools.cache
def _others_exist(path: tuple[str, ...]) -> bool:
    """True if a package on this sys.path has plugins for us. Reads files only, as most agents have no such
    package and should not pay for the import of importlib.metadata."""
    for folder in path:
        for file in iglob(f"{escape(folder or '.')}/*-info/entry_points.txt"):
            with contextlib.suppress(OSError), open(file, "rb") as opened:
                if b"[microscaling." in opened.read(1 << 20):
                    return True
    return False
