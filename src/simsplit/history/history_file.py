"""The history file of a run, in any format: create it, write it from all ranks, commit it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..communicator import Agreement
from ..communicator.files import open_shared
from ..errors import InputError, OutputError
from ..util import durable as disk
from ..util.formatting import format_bytes
from .file import REMEDY, ContiguousWriter, FileHistory, RowWriter
from .formats import npy
from .layout import layout_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..engine import Plan
    from ..problem import Problem
    from .layout import HistoryLayout

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class HistoryFile:
    """Where all ranks write a history.

    Parameters
    ----------
    path : Path
    kind : {"npy", "zarr", "h5"}
    layout : HistoryLayout
    what : str
        What messages call it.
    """

    path: Path
    kind: str
    layout: HistoryLayout
    what: str

    def create(self, plan: Plan) -> None:
        """Make the file, or the folder, of the full size. Root only.

        Raises
        ------
        OSError
        """
        if self.kind == "npy":
            npy.create(self.path, self.layout)
        elif self.kind == "h5":
            from .formats import hdf5

            hdf5.create(self.path, self.layout)
        else:
            from .formats import zarr_v3 as zarr

            zarr.create(self.path, self.layout, plan.grain)

    def create_whole(self, plan: Plan) -> None:
        """Make it so that it appears whole or not at all. Root only; raises `OSError`."""
        unfinished = self.path.with_name(f".making{self.path.suffix}")
        disk.remove_tree(unfinished)
        replace(self, path=unfinished).create(plan)
        disk.rename(unfinished, self.path)
        disk.fsync_dir(self.path.parent)

    def sink(self, communicator: Communicator, plan: Plan) -> FileHistory:
        """Return what writes the steps to the file, which is there. Collective.

        Raises
        ------
        OutputError
            On every rank, if any cannot open it, or it is not the one that was made.
        """
        with Agreement(communicator), disk.as_output_error(self.what, REMEDY):
            target, gathers = self._open(communicator)
            return FileHistory(communicator, plan, target, self.path, what=self.what, gathers=gathers)

    def add_reductions(self, reductions: Mapping[str, Array]) -> None:
        """Write reductions as variables beside the history. Root only; raises `OSError`."""
        if not reductions:
            return
        if self.kind == "h5":
            from .formats import hdf5

            hdf5.add_reductions(self.path, self.layout, reductions)
        else:
            from .formats import zarr_v3

            zarr_v3.add_reductions(self.path, self.layout, reductions)

    def _open(self, communicator: Communicator) -> tuple[RowWriter, bool]:
        """Return what this rank writes its rows to, and whether a step of few bytes is better gathered before."""
        if self.kind == "zarr":
            from .formats import zarr_v3 as zarr

            return zarr.ChunkWriter(self.path, self.layout, zarr.chunks(self.path, self.layout)), False
        if self.kind == "h5":
            from .formats.hdf5 import data_offset
        else:
            data_offset = npy.data_offset
        file = open_shared(communicator, str(self.path))
        return ContiguousWriter(file, data_offset(self.path, self.layout), self.layout), True


def plan_for_format(problem: Problem, communicator: Communicator, plan: Plan, kind: str) -> Plan:
    """Return the plan for a history in a file of some kind: no two ranks share a chunk. Collective.

    Nothing is made yet.

    Raises
    ------
    InputError
        On every rank, if such a file cannot hold the history.
    """
    with Agreement(communicator):
        if communicator.rank == 0:
            _require_possible(kind, layout_of(problem, plan))
    if kind == "zarr":
        from .formats.zarr_v3 import chunk_rows

        plan = plan.replace(grain=chunk_rows(plan.shape[0], plan.ranks, plan.history_row_nbytes))
    return plan


def _require_possible(kind: str, layout: HistoryLayout) -> None:
    """Refuse a history that a kind of file cannot hold. One step of it, without data, tells."""
    if kind == "npy":
        npy.require_possible(layout.dtype)
        return
    few = min(1, layout.shape[0])
    first = replace(layout, shape=(few, *layout.shape[1:]), times=layout.times[:few])
    try:
        if kind == "h5":
            from .formats import hdf5

            hdf5.require_possible(first)
        else:
            from .formats import zarr_v3

            zarr_v3.require_possible(first)
    except InputError:  # the library is not installed
        raise
    except Exception as error:
        raise InputError(
            f"{'HDF5' if kind == 'h5' else 'Zarr'} cannot hold a history of {len(layout.shape)} axes and dtype "
            f"{layout.dtype}: {error}. Write it as .npy (--format npy)."
        ) from error


def require_room(folder: Path, plan: Plan, what: str) -> None:
    """Refuse a history that does not fit on the disk.

    Raises
    ------
    OutputError
    OSError
    """
    left = disk.free_bytes(folder)
    if plan.history_nbytes > left:
        raise OutputError(
            f"cannot write {what}: the history takes {format_bytes(plan.history_nbytes)}, "
            f"but {format_bytes(left)} are left on "
            "that disk. Keep fewer steps (--keep), or name a folder with room for it."
        )
