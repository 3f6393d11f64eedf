"""The description of a problem in a run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..communicator import Agreement
from ..kernels.sources import own_source
from ..problem_file.files import settings_of, source_digest, why_own, with_arrays
from ..problem_file.resolved import as_toml, complete, digests, require_unchanged
from ..problem_file.settings import OWN_KERNEL
from ..rundir.digest import digest_of_npy, digest_of_text
from ..rundir.directory import ARRAYS, KERNEL
from ..util.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..problem import Problem
    from ..rundir.directory import RunDirectory
    from .options import RunOptions


def describe_problem(problem: Problem, communicator: Communicator, options: RunOptions) -> Description:
    """Return what a run directory holds of a problem. Collective.

    Raises
    ------
    InputError
        On every rank, if something cannot stand in a problem file, or has not the digest that the file gave.
    """
    whole: Any = None
    arrays: dict[str, npt.NDArray[Any]] = {}
    with Agreement(communicator):
        if communicator.rank == 0:
            whole, arrays = settings_of(problem)
            if problem.origin is None:
                names = ("backend", "transport", "block_size", "check_rows", "depth")
                whole = whole.replace(**{name: getattr(options, name) for name in names})
            whole = complete(whole, problem)
    whole = communicator.bcast(whole)
    found = digests(whole, problem, communicator)
    text, source, facts = "", "", dict[str, Any]()
    with Agreement(communicator):
        if communicator.rank == 0:
            for name, array in arrays.items():
                found["input" if name == "initial" else f"parameter {name}"] = digest_of_npy(array)
            note = ""
            if whole.kernel.startswith(OWN_KERNEL):
                source, digest = own_source(problem.kernel)
                found["kernel"] = f"sha256:{digest}"
                facts["own_kernel"] = why_own(problem.kernel)
                note = f"# Its kernel must be given again, for {why_own(problem.kernel)}: see {KERNEL}.\n"
            elif (known := source_digest(problem, whole)) is not None:
                found["kernel"] = f"sha256:{known}"
            if not options.accept_changes:
                require_unchanged(whole.digests, found)
            files = {name: f"{ARRAYS}/{name}.npy" for name in arrays}
            text = note + as_toml(with_arrays(whole, files).replace(digests=found))
            units = {name: value for name in ("time_unit", "unit") if (value := getattr(whole, name)) is not None}
            facts |= {"digests": {**found, "problem": digest_of_text(text)}, "units": units}
    kept = {f"{name}.npy": array for name, array in arrays.items()}
    return Description(text, communicator.bcast(facts), kept, source)


class Description(Record):
    """What a run directory holds of its problem. Significant on root, but for the facts.

    Attributes
    ----------
    text : str
        The resolved problem, from which the run can be resumed.
    facts : dict
        What else the record says of the problem: digests and units.
    arrays : dict of str to ndarray
        Arrays that came from memory, by the names of their files in the directory.
    kernel : str
        The source of a kernel that only the program has.
    """

    text: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]] = {}
    kernel: str = ""

    def write(self, directory: RunDirectory) -> None:
        """Write it. Raises `OutputError`."""
        for name, array in self.arrays.items():
            directory.write_array(name, array)
        if self.kernel:
            directory.write_kernel(self.kernel)
        directory.write_problem(self.text)
