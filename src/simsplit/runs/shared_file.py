"""A ``.zarr`` or ``.h5`` file that all ranks write, as a destination."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..communicator import Agreement
from ..errors import StoppedError
from ..history.file import REMEDY
from ..history.history_file import HistoryFile, plan_for_format, require_room
from ..history.layout import layout_of
from ..util import durable as disk
from .destinations import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..engine import HistorySink, Plan, Timings
    from ..problem import Problem

    Array = npt.NDArray[Any]


class SharedFile:
    """A ``.zarr`` or ``.h5`` that all ranks write to, which appears whole or not at all.

    Parameters
    ----------
    output : str
    kind : {"zarr", "h5"}
    """

    def __init__(self, output: str, kind: str) -> None:
        self._output = output
        self._kind = kind

    def plan(self, problem: Problem, communicator: Communicator, plan: Plan) -> Plan:
        """Return the plan with rows split by the chunks of the file."""
        return plan_for_format(problem, communicator, plan, self._kind)

    @contextmanager
    def open(self, problem: Problem, communicator: Communicator, plan: Plan, timings: Timings) -> Iterator[Output]:
        """Make the file under another name, and remove what is left of it in the end."""
        what = f"the output {self._output}"
        name = temporary = None
        with Agreement(communicator), disk.as_output_error(what, REMEDY):
            if communicator.rank == 0:
                name = Path(self._output).resolve()
                require_room(name.parent, plan, what)
                temporary = name.with_name(f".simsplit-{os.urandom(4).hex()}.tmp{name.suffix}")
        file = HistoryFile(communicator.bcast(temporary), self._kind, layout_of(problem, plan), what)
        try:
            with Agreement(communicator), disk.as_output_error(what, REMEDY):
                if communicator.rank == 0:
                    file.create(plan)
            yield _FileOutput(file.sink(communicator, plan), file, name)
        finally:
            if temporary is not None:
                disk.remove_tree(temporary)


class _FileOutput(Output):
    def __init__(self, sink: HistorySink, file: HistoryFile, name: Path | None) -> None:
        super().__init__(sink)
        self._file = file
        self._name = name

    def stop(self, next_step: int, steps: int, reason: str) -> None:
        raise StoppedError(
            f"stopped by {reason} after {next_step:,} of {steps:,} steps: {self._file.what} was not written, since it "
            "would lack the other steps. Write to a folder (-o FOLDER), from where a run can go on."
        )

    def commit(self, communicator: Communicator, kept: int, reductions: Mapping[str, Array]) -> bool:
        with Agreement(communicator), disk.as_output_error(self._file.what, REMEDY):
            if self._name is not None:
                self._file.add_reductions(reductions)
                if self._name.is_dir() and self._file.kind == "zarr":  # a folder cannot be replaced in one step
                    disk.remove_tree(self._name)
                disk.rename(self._file.path, self._name)
                disk.fsync_dir(self._name.parent)
        return False
