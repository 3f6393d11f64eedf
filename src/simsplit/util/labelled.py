"""A history for people: as a dataset of xarray, and as a small table in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .optional import import_optional

if TYPE_CHECKING:
    from collections.abc import Mapping


def dataset(
    history: Any, times: Any, reductions: Mapping[str, Any], step_times: Any, attributes: Mapping[str, str]
) -> Any:
    """Return a dataset of xarray, with the names of axes that a Zarr store or an HDF5 file has.

    Parameters
    ----------
    history : array, shape (kept steps, n, ...), or None
    times : ndarray, shape (kept steps,)
    reductions : mapping of str to array, shape (steps, ...)
    step_times : ndarray, shape (steps,)
        The time of every step, kept or not.
    attributes : mapping of str to str
    """
    xarray = import_optional("xarray", "a dataset needs xarray", "xarray")
    every = "time" if len(step_times) == len(times) else "step_time"
    variables: dict[str, Any] = {}
    coordinates = {"time": times} | ({every: step_times} if reductions else {})
    if history is not None:
        variables["history"] = (("time", "row", *_components(history.ndim - 2)), history)
    for name, reduced in reductions.items():
        variables[name] = ((every, *_components(reduced.ndim - 1)), reduced)
    return xarray.Dataset(variables, coordinates, dict(attributes))


def _components(count: int) -> tuple[str, ...]:
    return ("component",) if count == 1 else tuple(f"component_{number}" for number in range(count))


def table(title: str, rows: Mapping[str, Any]) -> str:
    """Return a small table as HTML."""
    from html import escape

    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table><caption>{escape(title)}</caption>{lines}</table>"
