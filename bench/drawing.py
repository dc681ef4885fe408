"""Charts as PNG and SVG, with matplotlib. The same figures make the same SVG, byte for byte."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.charts import Bars, Lines
from bench.tables import number

_OURS, _CELERY, _OTHERS = "#c2410c", "#4d7c0f", "#94a3b8"
_WIDE = 8.0
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "celery-rs",
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MARKERS = "osD^v*"


def draw(charts: Sequence[Bars | Lines], place: Path) -> None:
    """Write each as `<name>.svg` and `<name>.png`, and remove what was there before."""
    place.mkdir(parents=True, exist_ok=True)
    for old in (*place.glob("*.svg"), *place.glob("*.png")):
        old.unlink()
    with mpl.rc_context(_STYLE):
        for chart in charts:
            figure = _bars(chart) if isinstance(chart, Bars) else _lines(chart)
            figure.savefig(place / f"{chart.name}.svg", metadata={"Date": None, "Creator": None})
            figure.savefig(place / f"{chart.name}.png", dpi=110, metadata={"Software": None})


def _bars(chart: Bars) -> Figure:
    figure = Figure(figsize=(_WIDE, 1.4 + 0.32 * len(chart.rows)), layout="constrained")
    axes = figure.subplots()
    names = [name for name, _ in chart.rows]
    medians = [seen.median for _, seen in chart.rows]
    below = [seen.median - seen.low for _, seen in chart.rows]
    above = [seen.high - seen.median for _, seen in chart.rows]
    axes.barh(
        names, medians, xerr=[below, above], color=[_colour(name) for name in names], height=0.7, ecolor="#333333"
    )
    axes.invert_yaxis()
    most = max((seen.high for _, seen in chart.rows), default=1.0)
    for at, (_, seen) in enumerate(chart.rows):
        axes.text(max(seen.high, 0.0) + most * 0.01, at, number(seen.median), va="center")
    axes.set_xlim(0, most * 1.12 or 1.0)
    axes.set_xlabel(chart.unit)
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    _title(axes, chart.title)
    return figure


def _lines(chart: Lines) -> Figure:
    figure = Figure(figsize=(_WIDE, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, points), marker in zip(chart.lines, _MARKERS * len(chart.lines), strict=False):
        places = [at for at, _ in points]
        medians = [seen.median for _, seen in points]
        below = [seen.median - seen.low for _, seen in points]
        above = [seen.high - seen.median for _, seen in points]
        axes.errorbar(places, medians, yerr=[below, above], marker=marker, capsize=3, label=name)
    axes.set_xscale("log")
    ticks = sorted({at for _, points in chart.lines for at, _ in points})
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(chart.axis)
    axes.set_ylabel(chart.unit)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    _title(axes, chart.title)
    return figure


def _title(axes: Axes, title: str) -> None:
    question, _, conditions = title.partition("\n")
    axes.set_title(f"{fill(question, 90)}\n{conditions}", loc="left", fontsize=10)


def _colour(name: str) -> str:
    if name.startswith("celery-rs"):
        return _OURS
    return _CELERY if name.startswith("celery") else _OTHERS
