"""``simsplit bench``: how fast a history is written on this machine, beside what could be reached and what is usual."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...communicator import Agreement, interrupts
from ...errors import InputError
from ...util.formatting import format_bytes, pluralize, say
from ..bench.measure import CEILING, PLAIN, Work, programs, scaling
from .run import connect_ranks

if TYPE_CHECKING:
    from ...communicator import Communicator
    from ..bench.measure import Measured
    from ..parser import Options

_SIZE, _STEPS = 8_000_000, 10
_GRID_STEPS = 40
_SCALED = {"fill": "fill", "simsplit": "simsplit", "simsplit_steps": "its steps"}  # what is, and what it is called

_LEGEND = (
    "ms: from the array on root to the whole history in root's memory, by the slowest rank, checks included.",
    "GB/s: bytes of the history in that time; of fill, × plain: how many times as fast as those.",
    "fill: each rank fills the memory of its rows (the ceiling); fresh: memory that it just got from the system.",
    "one process, plain MPI: as one would write it first, an expression for each step, into fresh memory.",
    "simsplit: the whole run, into memory that its last round used, if it is large.",
    "scaling: how many times the work that one rank does in the same time; strong: all rows, weak: so many a rank.",
    "its steps: without what comes before, above all copying rows to other ranks, once, which one rank never does.",
)


def command(options: Options) -> None:
    """Measure and print. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with interrupts.held():
        communicator = connect_ranks(options)
        if options.grid is not None:
            _grid(communicator, options, options.grid)
            return
        work = Work(options.size or _SIZE, options.steps or _STEPS, options.rounds)
        with Agreement(communicator):
            if options.plot is not None and communicator.rank == 0:
                _require_plot(options.plot)
        measured = programs(communicator, work)
        scaled = scaling(communicator, work)
        hosts = communicator.allgather(communicator.host)
        with Agreement(communicator):
            if communicator.rank == 0:
                found = facts(communicator, work, measured, scaled, len(set(hosts)))
                say(json.dumps(found) if options.json else "\n".join(lines(found)))
                if options.plot is not None:
                    from ..bench.figure import draw

                    draw(found, options.plot)


def _grid(communicator: Communicator, options: Options, text: str) -> None:
    """Measure the steps of a grid, and print. Collective."""
    from ...problem_file.grids import shape_of
    from ..bench import grids

    shape: list[int] = []
    with Agreement(communicator):
        shape = shape_of(text)
        if options.plot is not None or options.size is not None:
            raise InputError("--grid: not allowed with --size and --plot.")
    found = grids.measure(communicator, shape, options.steps or _GRID_STEPS, options.rounds)
    if communicator.rank == 0:
        say(json.dumps(found) if options.json else "\n".join(grids.lines(found)))


def _require_plot(path: str) -> None:
    """Refuse before the measurement what could not be drawn after it."""
    from importlib.util import find_spec
    from pathlib import Path

    if not path.endswith(".png"):
        raise InputError(f"--plot must be a file that ends in .png, not {path!r}")
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"--plot {path}: there is no folder {Path(path).absolute().parent}")
    if find_spec("matplotlib") is None:
        raise InputError("--plot needs matplotlib. Install it with: pip install 'simsplit[plot]'")


def facts(
    communicator: Communicator, work: Work, measured: list[Measured], scaled: list[dict[str, Any]], nodes: int
) -> dict[str, Any]:
    """Put together what was measured, for programs and for the table."""
    medians = {each.name: each.median for each in measured}
    return {
        "simsplit": __version__,
        "mpi": communicator.library,
        "ranks": communicator.size,
        "nodes": nodes,
        "rows": work.rows,
        "steps": work.steps,
        "rounds": work.rounds,
        "bytes": work.nbytes,
        "programs": {
            each.name: {
                "seconds": each.seconds,
                "median": each.median,
                "bytes_per_second": each.rate,
                "of_ceiling": medians[CEILING] / each.median,
                "times_plain": medians[PLAIN] / each.median if PLAIN in medians else None,
                "communication": sum(each.communication) / len(each.communication) if each.communication else None,
                "arithmetic": each.text,
            }
            for each in measured
        },
        "scaling": [{**each, **_compared(each, scaled)} for each in scaled],
    }


def _compared(each: dict[str, Any], scaled: list[dict[str, Any]]) -> dict[str, float]:
    """Return how many times the work of one rank is done in its time: the number of ranks, if all goes well."""
    one = next(other for other in scaled if other["kind"] == each["kind"] and other["ranks"] == 1)
    work = each["rows"] / one["rows"]
    return {f"{name}_speedup": work * one[name] / each[name] for name in _SCALED}


def lines(found: dict[str, Any]) -> list[str]:
    """Write it for people."""
    ranks, nodes = pluralize(found["ranks"], "rank"), pluralize(found["nodes"], "node")
    history = f"{pluralize(found['steps'], 'step')} × {found['rows']:,} float64, {format_bytes(found['bytes'])}"
    where = f"{ranks} on {nodes} · {found['mpi'] or 'no MPI'}"
    table = [
        f"simsplit {found['simsplit']} · {history} · {where} · medians of {pluralize(found['rounds'], 'round')}",
        "",
        f"{'':26}{'ms':>9}{'GB/s':>8}{'of fill':>9}{'× plain':>9}{'communication':>15}",
    ]
    for name, each in found["programs"].items():
        plain = "" if each["times_plain"] is None else f"{each['times_plain']:.2f}"
        share = "" if each["communication"] is None else f"{each['communication']:.0%}"
        rate = f"{each['bytes_per_second'] / 1e9:.2f}"
        row = f"{name:26}{each['median'] * 1e3:9.3g}{rate:>8}{each['of_ceiling']:9.2f}{plain:>9}{share:>15}"
        table.append(row.rstrip() if each["arithmetic"] in ("", name) else f"{row:76}  {each['arithmetic']}")
    table += ["", f"{'scaling':10}{'ranks':>6}{'rows':>14}" + "".join(f"{title:>12}" for title in _SCALED.values())]
    for each in found["scaling"]:
        cells = "".join(f"{'× ' + format(each[f'{name}_speedup'], '.2f'):>12}" for name in _SCALED)
        table.append(f"{each['kind']:10}{each['ranks']:6d}{each['rows']:14,}{cells}")
    return [*table, "", *_LEGEND]
