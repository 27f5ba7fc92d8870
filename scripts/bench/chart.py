"""Bars, as an SVG that reads well in the light and in the dark."""

from __future__ import annotations

import statistics
from html import escape

COLOURS = {"ours": "#2f81f7", "floor": "#8b949e"}
OTHER = "#d29922"
ROW, LEFT, WIDTH, GAP = 22, 150, 420, 34


def bars(results: dict[str, dict[str, list[float]]]) -> str:
    """Medians as bars, the spread as a line over each; each case has a scale of its own. Seconds, unless the
    case says its unit."""
    parts: list[str] = []
    y = 10
    for case, by in results.items():
        y += GAP - ROW // 2
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(case)}</text>')
        y += 8
        scale = WIDTH / max(max(values) for values in by.values())
        in_seconds = not case.endswith(("MB", "share of a core"))
        for who, values in by.items():
            parts += _bar(y, who, values, scale, in_seconds)
            y += ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{y + 12}" '
        'font-family="system-ui, sans-serif" font-size="13">'
        "<style>text{fill:#24292f}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>"
        f"{''.join(parts)}</svg>\n"
    )


def _bar(y: int, who: str, values: list[float], scale: float, in_seconds: bool) -> list[str]:
    median = statistics.median(values)
    text = _seconds(median) if in_seconds else f"{median:.3g}"
    middle = y + ROW // 2
    return [
        f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{escape(who)}</text>',
        f'<rect x="{LEFT}" y="{y + 4}" width="{median * scale:.1f}" height="{ROW - 8}" rx="3" '
        f'fill="{COLOURS.get(who, OTHER)}"/>',
        f'<line x1="{LEFT + min(values) * scale:.1f}" x2="{LEFT + max(values) * scale:.1f}" y1="{middle}" '
        f'y2="{middle}" stroke="#57606a" stroke-width="2"/>',
        f'<text x="{LEFT + max(max(values), median) * scale + 8:.1f}" y="{middle + 4}">{text}</text>',
    ]


def _seconds(value: float) -> str:
    factor, unit = (1, "s") if value >= 0.1 else (1e3, "ms") if value >= 1e-4 else (1e6, "µs")
    return f"{value * factor:.3g} {unit}"
