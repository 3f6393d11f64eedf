"""Every pair of options of a run: what goes with what, and that it gives the bits of the plain run."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import InputError, Problem, StoppedError, kernels, run
from simsplit.communicator.serial import SerialCommunicator
from simsplit.problem import kept_steps
from simsplit.rundir.recorded_run import open_run
from simsplit.runs.options import SUFFIXES

from .runs import execute, resume

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from simsplit import Result
    from simsplit.communicator import Communicator
    from simsplit.runs.observers import Step

    Array = npt.NDArray[Any]

STEPS = 9
STOP_AT = 4
REDUCTIONS = ("mean", "min", "max", "std", "sum")


def look(step: Step) -> None:
    """Look at the values, as an observer does."""
    assert len(step.values) == step.rows[1] - step.rows[0]


def stop(step: Step) -> None:
    """Stop the run from the last rank."""
    if step.k == STOP_AT and step.rank == step.ranks - 1:
        step.stop()


def checkpoint(step: Step) -> None:
    """Ask for checkpoints."""
    step.checkpoint()


OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "output": {kind: {"output": f"h.{kind}"} for kind in ("npy", "zarr", "h5")} | {"folder": {"output": "there"}},
    "format": {kind: {"format": kind} for kind in ("npy", "zarr", "h5")},
    "kind": {"step": {"kind": "step"}},
    "keep": {"last": {"keep": "last"}, "every": {"keep": "every:3"}, "none": {"keep": "none", "reduce": "max"}},
    "reduce": {"reduce": {"reduce": "mean,min,max,std,sum"}},
    "nan": {"nan": {"nan": "error"}},
    "verify": {"verify": {"verify": True}},
    "via": {"remote": {"via": "remote"}},
    "transport": {"gatherv": {"transport": "gatherv"}, "shared": {"transport": "shared"}},
    "backend": {"numpy": {"backend": "numpy"}, "numba": {"backend": "numba"}},
    "block_size": {"block": {"block_size": 8}},
    "check_rows": {"unchecked": {"check_rows": False}},
    "watch": {
        "look": {"watch": [look]},
        "every": {"watch": [look, checkpoint], "every": 4},
        "stop": {"watch": [look, stop]},
    },
    "time_limit": {"hour": {"time_limit": "1h"}, "at once": {"time_limit": 0}},
    "checkpoint_every": {"steps": {"checkpoint_every": "2steps"}, "never": {"checkpoint_every": 0}},
    "hang_after": {"minutes": {"hang_after": "5min"}, "never": {"hang_after": 0}},
    "overwrite": {"overwrite": {"overwrite": True}},
    "accept_changes": {"accept": {"accept_changes": True}},
    "progress": {"progress": {"progress": True, "progress_every": 1}, "lines": {"progress": "lines"}},
}
FOR_DIRECTORIES = ("overwrite", "accept_changes", "checkpoint_every", "time_limit", "hang_after", "format")
KERNELS = {
    "map": lambda: kernels.affine(offset=0.1, multiplier=-1.7),
    "step": lambda: kernels.logistic(rate=0.7, capacity=3.0),
}


def pairs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return a name and the arguments for each value of each two options."""
    for one, other in combinations(OPTIONS, 2):
        for first, second in product(OPTIONS[one], OPTIONS[other]):
            given = OPTIONS[one][first] | OPTIONS[other][second]
            if "reduce" in OPTIONS[one][first] and "reduce" in OPTIONS[other][second]:
                given["reduce"] = ",".join(REDUCTIONS)
            yield f"{one}={first}, {other}={second}", given
            if "output" not in given:
                yield f"{one}={first}, {other}={second}, in a folder", {"output": "there", **given}


def reason(given: dict[str, Any]) -> str | None:
    """Return what the error must begin with, or None if these options go together."""
    output = given.get("output")
    kind = SUFFIXES.get(Path(output).suffix, "dir") if output else "memory"
    if kind != "dir":
        for name in FOR_DIRECTORIES:
            if name in given:
                where = f"the file {output}" if output else "no output"
                return f"{name} is for a run in a run directory, but there is {where}: give a folder (output FOLDER)"
    if "transport" in given and kind not in ("memory", "npy"):
        return f"transport {given['transport']} is for a history on rank 0, but all ranks write to {output}."
    if given.get("via") == "remote" and given.get("backend") == "numba":
        return "backend numba does not go with via remote, whose calculators use NumPy"
    return None


class Plain:
    """Runs without any option, to compare with."""

    def __init__(self) -> None:
        self._results = {kind: run(problem_of({"kind": kind, "reduce": REDUCTIONS}), serial=True) for kind in KERNELS}

    def history(self, given: dict[str, Any], steps: int) -> Array:
        """Return the steps that a run of `steps` keeps."""
        whole = self._results[given.get("kind", "map")].history
        assert whole is not None
        kept: Array = whole[list(kept_steps(given.get("keep", "all"), steps))]
        return kept

    def reductions(self, given: dict[str, Any], steps: int) -> dict[str, Array]:
        """Return the reductions of the first `steps`."""
        names = [name for name in given.get("reduce", "").split(",") if name]
        found = self._results[given.get("kind", "map")].reductions
        return {name: found[name][:steps] for name in names}


def problem_of(given: dict[str, Any]) -> Problem:
    """Return a problem."""
    more = {name: given[name] for name in ("keep", "reduce", "nan") if name in given}
    return Problem(np.linspace(0.1, 2, 11), KERNELS[given.get("kind", "map")](), delta_t=0.3, steps=STEPS, **more)


def check(plain: Plain, given: dict[str, Any], communicator: Communicator, folder: Path) -> None:
    """Run a pair, and compare its outcome with that of the plain run. Collective; files are looked at on root."""
    options = {name: value for name, value in given.items() if name not in ("kind", "keep", "reduce", "nan")}
    problem, expected = problem_of(given), reason(given)
    if "output" in options:
        options["output"] = str(folder / given["output"])
    if expected is not None:
        with pytest.raises(InputError) as caught:
            execute(problem, communicator, **options)
        assert str(caught.value).replace(f"{folder}/", "").startswith(expected)
        return
    stops = _stops(given)
    if not stops or given.get("output", "h.npy").endswith(".npy"):
        result = execute(problem, communicator, **options)
        assert ("verify" in given) == (result.verification is not None)
        assert result.verification is None or result.verification.identical
        if communicator.rank == 0:
            _compare(plain, given, STOP_AT + 1 if stops else STEPS, folder, result)
        return
    with pytest.raises(StoppedError):
        execute(problem, communicator, **options)
    if given["output"] != "there":
        assert communicator.rank or not list(folder.iterdir())
        return
    _resume(problem, given, communicator, options["output"])
    if communicator.rank == 0:
        _compare(plain, given, STEPS, folder, None)


def _stops(given: dict[str, Any]) -> bool:
    """Return whether a run is stopped before it is finished."""
    # Of a map kernel the last step alone is computed in one go, unless somebody looks at the others.
    in_one_go = given.get("keep") == "last" and "kind" not in given and not {"watch", "reduce"} & given.keys()
    return stop in given.get("watch", ()) or (given.get("time_limit") == 0 and not in_one_go)


def _resume(problem: Problem, given: dict[str, Any], communicator: Communicator, output: str) -> None:
    """Resume a run on the same ranks, or on root alone. Collective."""
    if given.get("format") != "h5" and "via" not in given and "reduce" not in given:
        resume(problem, communicator, output)
        return
    if communicator.rank == 0:
        resume(problem, SerialCommunicator(), output, verify=True)
    communicator.allgather(None)


def _compare(plain: Plain, given: dict[str, Any], steps: int, folder: Path, result: Result | None) -> None:
    """Compare what a run gave, and what it wrote, with the plain run."""
    history, reductions = plain.history(given, steps), plain.reductions(given, steps)
    if result is not None:
        assert given.get("output", "h.npy") != "h.npy" or same(result.history, history)
        for name, values in reductions.items():
            assert same(result.reductions[name], values), name
    if "output" in given:
        found, reduced = read(folder / given["output"], list(reductions))
        assert same(found, history)
        for name, values in reductions.items():
            assert same(reduced[name], values), name


def same(found: Any, expected: Array) -> bool:
    """Return whether the bits, the dtype and the shape are the same."""
    return (
        found is not None
        and (found.shape, found.dtype) == (expected.shape, expected.dtype)
        and (found.tobytes() == expected.tobytes())
    )


def read(output: Path, reductions: list[str]) -> tuple[Array, dict[str, Array]]:
    """Return the history and the reductions, from wherever they were written."""
    if output.suffix == ".npy":
        return np.load(output), {name: np.load(output.with_suffix(f".{name}.npy")) for name in reductions}
    if output.suffix == ".zarr":
        import zarr

        group = zarr.open_group(output, mode="r")
        return group["history"][...], {name: group[name][...] for name in reductions}
    if output.suffix == ".h5":
        import h5py

        with h5py.File(output) as file:
            return file["history"][...], {name: file[name][...] for name in reductions}
    run = open_run(output)
    assert run.status == "finished"
    history = run.history()
    return history.rows(0, len(history)), {name: np.load(output / "reductions" / f"{name}.npy") for name in reductions}


TRIPLES: dict[str, dict[str, Any]] = {
    f"remote, keep={keep}, kind={kind}, watch=stop{', in a folder' * bool(output)}": {
        "via": "remote",
        "kind": kind,
        "keep": keep,
        "reduce": "mean,std",
        "watch": [look, stop],
        **output,
    }
    for keep in ("all", "last", "every:3")
    for kind in KERNELS
    for output in ({}, {"output": "there"})
} | {
    f"{name}, keep={keep}, reductions, stopped": {
        "keep": keep,
        "reduce": "mean,min,max,std,sum",
        "watch": [checkpoint, stop],
        "output": "there",
        **given,
    }
    for keep in ("all", "last", "every:3", "none")
    for name, given in {
        "step": {"kind": "step"},
        "zarr": {"format": "zarr"},
        "h5": {"format": "h5", "kind": "step"},
        "numba": {"backend": "numba"},
        "numba, step": {"backend": "numba", "kind": "step"},
        "verify": {"verify": True},
    }.items()
}
