"""Measure how fast a history of plain arithmetic reaches root's memory, for ``simsplit bench``."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np

from ...bounds import bounds
from ...communicator import Agreement
from ...communicator.probing import plain_program, subset
from ...errors import SimsplitError
from ...kernels import affine
from ...problem import Problem
from ...runs.destinations import Memory
from ...runs.options import RunOptions
from ...runs.pipeline import execute
from ...util.memory_limits import require_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ...communicator import Communicator

    Array = npt.NDArray[Any]

    Program = Callable[[], "Once"]

T = TypeVar("T")

OFFSET, MULTIPLIER, DELTA_T = 3.0, 5.0, 0.5
CEILING, FRESH, ALONE, PLAIN, OURS = "fill", "fill, fresh", "one process", "plain MPI", "simsplit"
_WORD = 8  # bytes of a float64


class Once(NamedTuple):
    """What a program says of itself after it ran once.

    Attributes
    ----------
    text : str
        What did the arithmetic.
    communication : float or None
        The part of its time, between 0 and 1, that it spent with scattering and gathering, if it does either.
    second : float or None
        The seconds of a second part, if it has one, that is counted by itself.
    steps : float or None
        The seconds of all steps, where they are not the whole of it.
    """

    text: str
    communication: float | None = None
    second: float | None = None
    steps: float | None = None


@dataclass
class Measured:
    """The seconds of one program, round by round.

    Attributes
    ----------
    name : str
    nbytes : int
        Of the history.
    seconds : list of float
        Of the slowest rank, from a barrier to the next.
    communication : list of float
        The part of them, between 0 and 1, that root spent with scattering and gathering; empty if it does neither.
    steps : list of float
        The seconds that root took for the steps alone; empty if the program does not tell.
    text : str
        What did the arithmetic.
    """

    name: str
    nbytes: int
    seconds: list[float] = field(default_factory=list)
    communication: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    text: str = ""

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return median(self.seconds)

    @property
    def rate(self) -> float:
        """Bytes of history a second."""
        return self.nbytes / self.median


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes
    ----------
    rows, steps : int
        The history has so many steps of so many float64.
    rounds : int
    """

    rows: int
    steps: int
    rounds: int

    @property
    def nbytes(self) -> int:
        """Bytes of the history."""
        return self.rows * self.steps * _WORD


def programs(communicator: Communicator, work: Work) -> list[Measured]:
    """Measure all programs, in turn. Collective.

    Raises
    ------
    InputError
        On every rank, if there is not enough memory.
    """
    initial = _initial(communicator, work)
    candidates: dict[str, Any] = {
        CEILING: None,  # measured with the next
        FRESH: partial(_fill, communicator, work),
        ALONE: partial(_alone, communicator, work, initial),
    }
    if communicator.library is not None:
        candidates[PLAIN] = partial(_plain, communicator, work, initial)
    for backend in _backends(communicator):
        for transport in _transports(communicator):
            options = RunOptions(transport=transport, backend=backend)
            candidates[f"{OURS}, {transport}, {backend}"] = partial(_ours, communicator, work, initial, options)
    found = {name: Measured(name, work.nbytes) for name in candidates}
    for number in range(work.rounds + 1):  # the first is a warm-up
        for name, program in candidates.items():
            if program is not None:
                _measure(communicator, program, found[name], found[CEILING], count=number > 0)
    return list(found.values())


def scaling(communicator: Communicator, work: Work) -> list[dict[str, Any]]:
    """Measure filling and simsplit on 1, 2, 4 … of the ranks: all rows, and as many for each. Collective.

    Returns
    -------
    list of dict, on every rank
        ``kind``, ``ranks`` and ``rows``, and medians of seconds: ``fill``, ``simsplit`` (the whole run) and
        ``simsplit_steps`` (its steps alone).

    Raises
    ------
    InputError
        On every rank, if there is not enough memory.
    """
    found = []
    for kind in ("strong", "weak"):
        for ranks in rank_counts(communicator):
            rows = work.rows if kind == "strong" else max(1, work.rows // communicator.size) * ranks
            facts = on_first(communicator, ranks, partial(_scaled, work=Work(rows, work.steps, work.rounds)))
            found.append({"kind": kind, "ranks": ranks, "rows": rows, **facts})
    return found


def rank_counts(communicator: Communicator) -> list[int]:
    """Return 1, 2, 4 … and the number of all ranks."""
    powers = [2**power for power in range(communicator.size.bit_length()) if 2**power <= communicator.size]
    return sorted({*powers, communicator.size})


def on_first(communicator: Communicator, ranks: int, measure: Callable[[Communicator], T]) -> T:
    """Return on every rank what `measure` gives on the first ones, while the others rest. Collective."""
    failure, facts = None, None
    with subset(communicator, ranks) as some:
        if some is not None:
            try:
                facts = measure(some)
            except SimsplitError as error:  # which the ranks that rest here do not know of yet
                failure = error
    with Agreement(communicator):
        if failure is not None:
            raise failure
    return communicator.bcast(facts)


def _scaled(communicator: Communicator, work: Work) -> dict[str, Any]:
    initial = _initial(communicator, work)
    fill, fresh, ours = (Measured(name, work.nbytes) for name in (CEILING, FRESH, OURS))
    for number in range(work.rounds + 1):
        _measure(communicator, partial(_fill, communicator, work), fresh, fill, count=number > 0)
        _measure(communicator, partial(_ours, communicator, work, initial, RunOptions()), ours, fill, count=number > 0)
    return {"fill": fill.median, "simsplit": ours.median, "simsplit_steps": median(ours.steps)}


def _initial(communicator: Communicator, work: Work) -> Array | None:
    """Return the initial array on root, if all that is measured fits in memory. Collective."""
    with Agreement(communicator):
        part = bounds(work.rows, communicator.size)[communicator.rank]
        own = (part[1] - part[0]) * (work.steps + 2) * _WORD
        whole = work.nbytes + 3 * work.rows * _WORD if communicator.rank == 0 else 0
        require_memory(own + whole, "measuring on this rank", "Choose a smaller --size or fewer --steps.")
        return np.arange(float(work.rows)) if communicator.rank == 0 else None


def _backends(communicator: Communicator) -> list[Literal["numpy", "numba"]]:
    from ...backends.llvm import object_code as machine_code

    everywhere = all(communicator.allgather(machine_code.missing() is None))
    return ["numpy", "numba"] if everywhere else ["numpy"]


def _transports(communicator: Communicator) -> list[str]:
    """Return the ways for results to come to root, as far as they are different here. Collective."""
    return ["gatherv", "shared"] if communicator.size > 1 and communicator.node() is not None else ["gatherv"]


def _measure(
    communicator: Communicator, program: Program, measured: Measured, second: Measured, *, count: bool
) -> None:
    """Run a program once between two barriers. Collective."""
    communicator.allreduce_or(0)  # a barrier
    begun = perf_counter()
    once = program()
    communicator.allreduce_or(0)
    seconds = perf_counter() - begun
    slowest = max(communicator.allgather(seconds if once.second is None else seconds - once.second))
    slowest_second = None if once.second is None else max(communicator.allgather(once.second))
    if not count:
        return
    measured.seconds.append(slowest)
    measured.text = once.text
    if once.communication is not None:
        measured.communication.append(once.communication)
    if once.steps is not None:
        measured.steps.append(once.steps)
    if slowest_second is not None:
        second.seconds.append(slowest_second)
        second.text = once.text


def _fill(communicator: Communicator, work: Work) -> Once:
    """Fill memory of the history's size: each rank its own rows, once fresh from the system, and once again."""
    lower, upper = bounds(work.rows, communicator.size)[communicator.rank]
    with Agreement(communicator):
        memory = np.empty((upper - lower) * work.steps)
        ctypes.memset(memory.ctypes.data, 1, memory.nbytes)
    communicator.allreduce_or(0)
    begun = perf_counter()
    ctypes.memset(memory.ctypes.data, 2, memory.nbytes)
    return Once("memset", second=perf_counter() - begun)


def _step(k: int) -> Callable[[Array], Array]:
    """Return what a step does with a part."""
    return lambda part: (OFFSET + part * MULTIPLIER) * (k * DELTA_T)


def _alone(communicator: Communicator, work: Work, initial: Array | None) -> Once:
    """Compute the history on root alone, as one would write it down."""
    failure = None
    with subset(communicator, 1):
        try:
            if initial is not None:
                history = np.empty((work.steps, work.rows))
                for k in range(work.steps):
                    history[k] = _step(k)(initial)
        except MemoryError as error:
            failure = error
    with Agreement(communicator):
        if failure is not None:
            raise failure
    return Once("NumPy")


def _plain(communicator: Communicator, work: Work, initial: Array | None) -> Once:
    begun = perf_counter()
    spans = bounds(work.rows, communicator.size)
    done = plain_program(communicator, initial, spans, [_step(k) for k in range(work.steps)])
    seconds = perf_counter() - begun
    return Once("NumPy", (done[1] if done is not None else 0.0) / seconds)


def _ours(communicator: Communicator, work: Work, initial: Array | None, options: RunOptions) -> Once:
    kernel = affine(offset=OFFSET, multiplier=MULTIPLIER)
    begun = perf_counter()
    result = execute(
        Problem(initial, kernel, delta_t=DELTA_T, steps=work.steps), communicator, options, Memory(options.transport)
    )
    seconds = perf_counter() - begun
    text = (
        result.backend
        if options.transport in ("auto", result.transport)
        else f"not measured: {result.transport_reason}"
    )
    return Once(text, (result.timings.scatter + result.timings.gather) / seconds, steps=result.timings.steps)
