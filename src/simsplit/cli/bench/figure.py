"""A picture of what ``simsplit bench`` measured."""

from __future__ import annotations

from typing import Any

from ...display import figure as picture
from ...util.formatting import pluralize
from .measure import CEILING


def draw(found: dict[str, Any], path: str) -> None:
    """Draw rates and scaling into a PNG file, which appears whole or not at all. Root only.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    figure = picture.figure(11, 4.2)
    rates, scaling = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_rates(rates, found)
    _draw_scaling(scaling, found)
    figure.suptitle(
        f"{pluralize(found['steps'], 'step')} × {found['rows']:,} float64 to rank 0 · "
        f"{pluralize(found['ranks'], 'rank')} on {pluralize(found['nodes'], 'node')} · {found['mpi'] or 'no MPI'}",
        fontsize="medium",
    )
    picture.save(figure, path)


def _draw_rates(axes: Any, found: dict[str, Any]) -> None:
    """Draw a bar for each program, and a line for the ceiling."""
    names = list(found["programs"])
    values = [found["programs"][name]["bytes_per_second"] / 1e9 for name in names]
    colours = ["tab:blue" if name.startswith("simsplit") else "tab:gray" for name in names]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=3)
    axes.axvline(values[names.index(CEILING)], color="black", linewidth=1, linestyle="--")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("GB of history a second (dashed: filling the same memory)")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_scaling(axes: Any, found: dict[str, Any]) -> None:
    """Draw how many times the work of one rank is done by several."""
    styles = {
        "fill": ("tab:gray", "fill"),
        "simsplit": ("tab:blue", "simsplit"),
        "simsplit_steps": ("tab:cyan", "its steps"),
    }
    most = max(each["ranks"] for each in found["scaling"])
    for kind, line in (("strong", "-"), ("weak", "--")):
        chosen = [each for each in found["scaling"] if each["kind"] == kind]
        ranks = [each["ranks"] for each in chosen]
        for name, (colour, label) in styles.items():
            heights = [each[f"{name}_speedup"] for each in chosen]
            axes.plot(ranks, heights, line, marker="o", color=colour, label=f"{label}, {kind}")
    axes.plot([1, most], [1, most], color="black", linewidth=0.5, label="as many as ranks")
    axes.set_xlabel("ranks")
    axes.set_ylabel("times the work of one rank")
    axes.set_xticks(sorted({each["ranks"] for each in found["scaling"]}))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
