"""Writes the tables that repeat knowledge of the code into the docs: `python -m scripts.docs`.

A table stands between `<!-- made by make docs: NAME -->` and `<!-- end -->`. With `--check` nothing is
written, and the exit code is 1 if a page differs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from microscaling.api.schema.declared import APP, CONFIG
from microscaling.api.schema.key import Key
from microscaling.api.schema.metric import MISSING
from microscaling.config.services.plugin import TYPE as SERVICES
from microscaling.factory import CHOICES
from microscaling.metric.base import METRICS, Metric
from microscaling.plugins import Field
from microscaling.scheduler.swarm.plugin import TYPE as SWARM
from microscaling.settings import in_words, variables
from microscaling.target.base import RULES
from scripts import checks, mistakes

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("sources/*.md"))]
BLOCK = re.compile(r"<!-- made by make docs: (\S+) -->\n.*?<!-- end -->", re.DOTALL)
MORE = {
    "fallback": "failures.md#readings-that-fail",
    "idleSeconds": "failures.md#where-the-rules-rest",
    "metrics": "configuration.md#several-metrics",
    "intervalSeconds": "failures.md#a-sources-own-pace",
    "scaleDownWindowSeconds": "failures.md#scaling-down-late",
    "MSS_METRICS_ADDRESS": "metrics.md",
    "MSS_NOTIFY_URL": "notifications.md",
    "MSS_WARN_AFTER_S": "metrics.md#warnings",
    "MSS_ORPHANS": "failures.md#containers-of-tasks-that-are-no-more",
}
"""Where a page of docs has more about a row."""
OF_THE_IMAGE = {
    "MSS_DROP_TO": ("65532 in the image", "the image starts as root and drops to this uid; empty: stays root")
}
"""Variables that are read before there are settings."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def settings() -> str:
    """All variables."""
    of_services = {
        variable.name: (variable.default or "empty", variable.meaning)
        for variable in (*SERVICES.variables, *SWARM.variables)
    }
    rows = (
        (f"`{name}`", default, meaning + choices(name) + more(name))
        for name, (default, meaning) in (variables() | of_services | OF_THE_IMAGE).items()
    )
    return table(("variable", "default", "meaning"), rows)


def choices(name: str) -> str:
    """The values of a variable that names plugins, of ours only; empty for other variables."""
    ours = CHOICES[name].ours() if name in CHOICES else []
    return ": " * bool(ours) + ", ".join(f"`{plugin.type_name}` ({plugin.summary})" for plugin in ours)


def keys(declared: Iterable[Key]) -> str:
    """The keys that belong to no rule and no metric."""
    rows = ((", ".join((key.key, *key.also)), _default(key), key.meaning + more(key.key)) for key in declared)
    return table(("key", "default", "meaning"), rows)


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if key.default is not None:
        return in_words(key.default)
    return key.default_in_words or ("empty" if key.kind == "text" else "none")


def rules() -> str:
    """The rules with their fields."""
    rows = ((f"`{rule.type_name}`", rule.summary, of_fields(rule.fields)) for rule in RULES.ours())
    return table(("ruleType", "the task gets", "in its `config`"), rows)


def metrics() -> str:
    """The metrics, each with a link to its page."""
    rows = ((f"[`{kind.type_name}`](sources/{page_of(kind)})", kind.summary) for kind in METRICS.ours())
    return table(("metricType", "measures"), rows)


def page_of(kind: type[Metric]) -> str:
    """The name of the page of a metric, in docs/sources."""
    return f"{kind.type_name.lower()}.md"


def first_page(path: Path) -> str:
    """The page of a metric that has none yet; what it counts is for its author to say."""
    kind = next(kind for kind in METRICS.ours() if page_of(kind) == path.name)
    return f"# {kind.type_name}\n\n<!-- made by make docs: metric-{kind.type_name} -->\n<!-- end -->\n"


def metric(kind: type[Metric]) -> str:
    """The fields of a metric."""
    rows = ((f"`{field.key}`", _default_of(field), _meaning_of(field)) for field in of_metric(kind))
    summary = f"`metricType: {kind.type_name}` measures {kind.summary}. In the task's `config`:"
    return f"{summary}\n\n{table(('key', 'default', 'meaning'), rows)}"


def _default_of(field: Field) -> str:
    if field.required or field.expected:
        return "required" if field.required else "needed"
    return "none" if field.default is None else in_words(field.default)


def _meaning_of(field: Field) -> str:
    label = field.label or field.key
    known = [f"{label}: {field.hint}" if field.hint else label]
    known += [" or ".join(f"`{choice}`" for choice in field.choices)] * bool(field.choices)
    known += ["${NAME} is filled in"] * field.fills_in
    return "; ".join(known)


def of_metric(kind: type[Metric]) -> tuple[Field, ...]:
    """The fields of a metric, and the key `missing` if it reads that."""
    return (
        (*kind.fields, replace(MISSING, default=kind.missing, hint=MISSING.meaning))
        if kind.may_be_missing
        else kind.fields
    )


def of_fields(fields: Iterable[Field]) -> str:
    """Fields in one cell, each with all that is to be known of it."""
    return ", ".join(_of_field(field) for field in fields)


def _of_field(field: Field) -> str:
    known = ["required"] * field.required + ["needed"] * field.expected
    if field.choices:
        known.append(" or ".join(field.choices))
    if field.default is not None:
        known.append(f"default {in_words(field.default)}")
    if field.fills_in:
        known.append("${NAME} is filled in")
    known += [field.hint] * bool(field.hint)
    return f"`{field.key}`" + (f" ({'; '.join(known)})" if known else "")


def more(name: str) -> str:
    """The link to the page that has more about a row; empty if there is none."""
    return f" ([more]({MORE[name]}))" if name in MORE else ""


def first_mistakes() -> str:
    """The file in which they are made, and a table for each group."""
    parts = [f"```yaml\n{mistakes.APPS}```"]
    for title, group in mistakes.GROUPS.items():
        parts += [f"## {title}", table(("typed", "answer", "exit code"), mistakes.rows(group))]
    return "\n\n".join(parts)


def broken() -> str:
    """The file in which all is well, and a table of broken set-ups for each group."""
    apps = checks.APPS.replace("{redis}", "redis://redis:6379/0").replace("{image}", "example/mailer:1")
    parts = [f"```yaml\n{apps}```"]
    for title, group in checks.GROUPS.items():
        parts += [f"### {title}", table(("wrong", "what `check` says", "exit code"), checks.rows(group))]
    return "\n\n".join(parts)


def services() -> str:
    """The variables for services of Compose."""
    cap = ("`MSS_MAX_CONTAINERS`", "number of containers that all enabled services share; needed")
    rows = [cap, *((f"`{variable.name}`", variable.meaning) for variable in SERVICES.variables)]
    return table(("variable", "meaning"), rows)


def exposition() -> str:
    """The metrics of an agent for Prometheus."""
    # Imported only here, as they need the extra `metrics`.
    from microscaling.demand.tasks import Tasks
    from microscaling.engine.base import Counts
    from microscaling.telemetry.families import families
    from microscaling.telemetry.snapshot import snapshot

    ends = {"counter": "_total", "info": "_info"}
    rows = []
    for family in families(snapshot(Tasks([], 0)), Counts(), {}):
        name = family.name + ends.get(family.type, "")
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        rows.append((f"`{name}`", family.type, labels, family.documentation))
    return table(("name", "type", "labels", "meaning"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "app": lambda: keys(APP),
    "config": lambda: keys(CONFIG),
    "rules": rules,
    "metrics": metrics,
    **{f"metric-{kind.type_name}": partial(metric, kind) for kind in METRICS.ours()},
    "mistakes": first_mistakes,
    "services": services,
    "checks": broken,
    "exposition": exposition,
}


def filled(page: str) -> str:
    """The page with its tables as they should be. Raises KeyError of a table that is not known here."""
    return BLOCK.sub(
        lambda block: f"<!-- made by make docs: {block[1]} -->\n\n{TABLES[block[1]]()}\n\n<!-- end -->", page
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pages. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.docs", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page differs")
    check = parser.parse_args(arguments).check
    differ = 0
    new = [DOCS / "sources" / page_of(kind) for kind in METRICS.ours()]
    for path in [*PAGES, *(path for path in new if path not in PAGES)]:
        there = path.read_text("utf-8") if path.exists() else ""
        wanted = filled(there or first_page(path))
        if wanted != there:
            differ += 1
            print(f"{path.relative_to(ROOT)} {'differs: make docs writes it' if check else 'is written'}")
            if not check:
                path.write_text(wanted, "utf-8")
    return 1 if check and differ else 0


if __name__ == "__main__":
    sys.exit(main())
