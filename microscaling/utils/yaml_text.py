"""YAML by the rules of its version 1.2, as Compose reads it: `22:22`, `yes` and `2026-01-01` are text."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from microscaling.errors import ConfigError
from microscaling.utils.strict_json import Object
from microscaling.utils.text import one_line

try:
    import yaml
except ImportError:
    raise ConfigError("YAML needs an extra: pip install '.[yaml]' in the clone, or write JSON") from None

MAX_TOLD = 200
"""Characters of the library's error that ours quotes."""
HINTS = {
    "found character '\\t'": "a tab: indent with spaces",
    "expected <block end>": "this line is indented in another way than those before it",
    "mapping values are not allowed": "a `key:` inside a value: is the indentation right?",
}
"""Parts of the library's errors, and plainer words."""
TAG = "tag:yaml.org,2002:"
CORE = (
    # tag, pattern of the plain text, characters that it can begin with
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]{1,20}|0o[0-7]{1,24}|0x[0-9a-fA-F]{1,16}", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)


class CoreLoader(yaml.SafeLoader):
    """A safe loader with the core schema only, which notes repeated keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - yaml's
    yaml_constructors = {  # noqa: RUF012 - yaml's
        TAG + "null": yaml.SafeLoader.construct_yaml_null,
        TAG + "bool": yaml.SafeLoader.construct_yaml_bool,
        TAG + "float": yaml.SafeLoader.construct_yaml_float,
        TAG + "str": yaml.SafeLoader.construct_yaml_str,
        TAG + "seq": yaml.SafeLoader.construct_yaml_seq,
        None: yaml.SafeLoader.construct_undefined,
    }

    def whole(self, node: yaml.ScalarNode) -> int:
        """Reads a whole number, decimal, octal (0o) or hexadecimal (0x)."""
        text = str(node.value)
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))

    def object(self, node: yaml.MappingNode) -> Object:
        """Reads a mapping. Raises ConfigError for a key that is no scalar."""
        # Counted before merging: a key that overrides one of a `<<` is not repeated.
        own = Counter(str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        self.flatten_mapping(node)
        made = Object()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"not YAML: line {key_node.start_mark.line + 1}: a key has to be text")
            made[str(key_node.value)] = self.construct_object(value_node, deep=True)
        made.repeated = tuple(sorted(key for key, count in own.items() if count > 1))
        return made

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merges the mappings behind `<<`, and keeps only the last of repeated keys."""
        super().flatten_mapping(node)
        # With all of them kept, merges of merges of merges would outgrow the memory.
        last = {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
        node.value = [
            *last.values(),
            *(pair for pair in node.value if not isinstance(pair[0], yaml.ScalarNode)),
        ]


for _tag, _pattern, _first in CORE:
    CoreLoader.add_implicit_resolver(
        TAG + _tag, re.compile(f"^(?:{_pattern})$"), [c.strip("\0") for c in _first]
    )
CoreLoader.add_constructor(TAG + "int", CoreLoader.whole)
CoreLoader.add_constructor(TAG + "map", CoreLoader.object)


def parse(data: bytes) -> Any:
    """Parses YAML in UTF-8. Raises ConfigError with the place of the first mistake."""
    try:
        text = data.decode("utf-8")
        return yaml.load(text, Loader=CoreLoader)  # nosec B506  # a SafeLoader
    except UnicodeDecodeError as error:
        raise ConfigError(f"not YAML: byte {error.start + 1} is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = error.problem or str(error)
        hint = next((hint for part, hint in HINTS.items() if part in problem), "")
        raise ConfigError(f"not YAML: {where}{hint or _told(problem)}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {_told(str(error))}") from None
    except (ValueError, LookupError) as error:
        raise ConfigError(f"not YAML: a value does not fit its tag ({type(error).__name__})") from None
    except RecursionError:
        raise ConfigError("not YAML that can be read: nested too deeply") from None


def _told(problem: str) -> str:
    """Returns the library's error without the words that it quotes from the configuration."""
    # YAML may read a password without quotes as an alias or a tag, and the library would quote it.
    return one_line(re.sub(r"[:=]? ['\"](?!<)[^'\"]{2,}['\"].*", "", problem, flags=re.DOTALL))[:MAX_TOLD]
