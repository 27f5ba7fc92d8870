"""Measures of the package's style, beside their limits: `python -m scripts.style [-v] [FOLDER]`.

Prose is all docstrings, strings that stand alone (what follows an attribute), and comments. A comment counts
if it says something: suppressions (noqa, nosec, type: ignore, fmt), rulers and headings do not.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIALECT = frozenset(
    ("what", "who", "whom", "whose", "whoever", "whatever", "nobody", "somebody", "whichever")
)
SPEECH = frozenset(
    ("say", "says", "said", "saying", "tell", "tells", "told", "telling", "hear", "hears", "heard")
)
WORD = re.compile(r"[A-Za-z][A-Za-z']*")
SUPPRESSION = re.compile(r"#\s*(noqa|nosec|type:|fmt:|pragma)")
RULER = re.compile(r"#\W*\w+( \w+){0,7}\W*$")
RULED = re.compile(r"[-=#*]{4,}")
"""Together: a few words, and a line of signs."""
WORST = 8
"""How many places are named with -v."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """What one file has: prose as (line, text), functions as (name, lines)."""

    name: str
    lines: int
    prose: list[tuple[int, str]] = field(default_factory=list)
    commented: set[int] = field(default_factory=set)
    functions: list[tuple[str, int]] = field(default_factory=list)
    classes: list[ast.ClassDef] = field(default_factory=list)

    def words(self) -> Iterator[tuple[int, str]]:
        """The words of its prose in lower case, with their lines."""
        for line, text in self.prose:
            yield from ((line, word.lower()) for word in WORD.findall(text))


@dataclass
class Row:
    """One measure: its value and limit in words, whether it is met, and the worst places."""

    name: str
    value: str
    limit: str
    met: bool
    worst: list[str] = field(default_factory=list)


def read(path: Path, name: str) -> Module:
    """Takes one file apart."""
    source = path.read_text("utf-8")
    module = Module(name, len(source.splitlines()))
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                module.prose.append((node.lineno, node.value.value))
        elif isinstance(node, Function):
            module.functions.append((f"{name}:{node.lineno} {node.name}", _length(node)))
        elif isinstance(node, ast.ClassDef):
            module.classes.append(node)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and says_something(token.string):
            module.commented.add(token.start[0])
            module.prose.append((token.start[0], token.string))
    return module


def says_something(comment: str) -> bool:
    """Whether a comment is more than a suppression, a ruler or a heading, or the `#!` of a script. The reason
    behind a suppression counts."""
    _, _, reason = comment.partition("  #")
    if SUPPRESSION.match(comment):
        return bool(reason.strip()) or " - " in comment
    if comment.startswith("#!") or not WORD.search(comment):
        return False
    return not (RULED.search(comment) and RULER.match(comment))


def undocumented(modules: Iterable[Module]) -> list[str]:
    """The public methods of public classes without a docstring, here or in a base that is ours."""
    modules = list(modules)
    classes: dict[str, list[ast.ClassDef]] = {}
    for node in (node for module in modules for node in module.classes):
        classes.setdefault(node.name, []).append(node)
    found = []
    for module in modules:
        for node in module.classes:
            if node.name.startswith("_"):
                continue
            found += [
                f"{module.name}:{method.lineno} {node.name}.{method.name}"
                for method in node.body
                if isinstance(method, Function)
                and not method.name.startswith("_")
                and not any(_documents(base, method.name) for base in _line(node, classes))
            ]
    return found


def rows(modules: list[Module]) -> list[Row]:
    """All measures, in the order of the table."""
    words = sum(1 for module in modules for _ in module.words())
    lines = sum(module.lines for module in modules)
    commented = 100 * sum(len(module.commented) for module in modules) / lines
    bare = undocumented(modules)
    functions = [pair for module in modules for pair in module.functions]
    sizes = [(module.name, module.lines) for module in modules]
    few = sorted((m for m in modules if m.lines > 40 and not m.commented), key=lambda m: -m.lines)
    return [
        _frequency("what, who, nobody ... of 1,000 words", modules, DIALECT, words, 5),
        _frequency("say, tell, hear of 1,000 words", modules, SPEECH, words, 1),
        Row(
            "lines with a comment",
            f"{commented:.1f} %",
            "3 to 8 %",
            3 <= commented <= 8,
            [f"{m.name} ({m.lines} lines, none)" for m in few[:WORST]],
        ),
        Row("public methods without docstring", str(len(bare)), "0", not bare, bare[:WORST]),
        _longest("module lines", sizes, 400),
        _longest("function lines", functions, 50),
    ]


def table(modules: list[Module], verbose: bool = False) -> str:
    """The measures as lines of text; with `verbose` also the worst places of each."""
    made = rows(modules)
    width = max(len(row.name) for row in made)
    lines = [f"{'measure':{width}}  {'here':>16}  {'limit':>9}"]
    for row in made:
        lines.append(f"{row.name:{width}}  {row.value:>16}  {row.limit:>9}{'' if row.met else '  missed'}")
        if verbose:
            lines += [f"    {place}" for place in row.worst]
    return "\n".join(lines) + "\n"


def package(folder: Path) -> list[Module]:
    """All modules below a folder."""
    return [read(path, str(path.relative_to(folder.parent))) for path in sorted(folder.rglob("*.py"))]


def main(arguments: list[str] | None = None) -> int:
    """Prints the table. Returns 0, whatever it shows."""
    parser = argparse.ArgumentParser(prog="scripts.style", description="Measures of style, and their limits.")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the worst places")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "microscaling")
    given = parser.parse_args(arguments)
    sys.stdout.write(table(package(given.folder), given.verbose))
    return 0


def _frequency(name: str, modules: list[Module], kind: frozenset[str], words: int, limit: int) -> Row:
    counts = [(m.name, sum(1 for _, word in m.words() if word in kind)) for m in modules]
    per_thousand = 1000 * sum(count for _, count in counts) / max(1, words)
    worst = sorted(counts, key=lambda pair: -pair[1])[:WORST]
    return Row(
        name,
        f"{per_thousand:.1f}",
        f"< {limit}",
        per_thousand < limit,
        [f"{module} ({count})" for module, count in worst if count],
    )


def _longest(name: str, sizes: list[tuple[str, int]], limit: int) -> Row:
    counts = sorted(count for _, count in sizes)
    value = f"{statistics.median(counts):.0f} / {counts[int(0.9 * (len(counts) - 1))]} / {counts[-1]}"
    worst = sorted(sizes, key=lambda pair: -pair[1])[:WORST]
    return Row(
        f"{name}, median / p90 / max",
        value,
        f"max {limit}",
        counts[-1] <= limit,
        [f"{place} ({count})" for place, count in worst],
    )


def _length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _line(node: ast.ClassDef, classes: dict[str, list[ast.ClassDef]]) -> Iterator[ast.ClassDef]:
    """The class, then its bases as far as they are ours: by name, so that one of two of a name is enough."""
    seen, waiting = set(), [node]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        for base in one.bases:
            name = base.value if isinstance(base, ast.Subscript) else base
            named = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
            waiting += classes.get(named, [])


def _documents(node: ast.ClassDef, name: str) -> bool:
    return any(isinstance(m, Function) and m.name == name and ast.get_docstring(m) for m in node.body)


if __name__ == "__main__":
    sys.exit(main())
