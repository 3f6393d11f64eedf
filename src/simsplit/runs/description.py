"""What a run directory holds of its problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..util.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..problem import Problem
    from ..rundir.directory import RunDirectory
    from .options import RunOptions


def describe_problem(problem: Problem, communicator: Communicator, options: RunOptions) -> Description:
    """Return what a run directory holds of a problem. Collective."""
    raise NotImplementedError


class Description(Record):
    """What a run directory holds of its problem. Significant on root.

    Attributes
    ----------
    text : str
        The resolved problem, from which the run can be resumed.
    facts : dict
        What else the record says of the problem: digests and units.
    arrays : dict of str to ndarray
        Arrays that came from memory, by the names of their files in the directory.
    """

    text: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]] = {}

    def write(self, directory: RunDirectory) -> None:
        """Write it. Raises `OutputError`."""
        for name, array in self.arrays.items():
            directory.write_array(name, array)
        directory.write_problem(self.text)
