"""The main job by remote objects: a calculator on each of the other ranks, called in parallel for each step.

The collective way (`simsplit.run`) is faster; this one shows what it costs to drive the same work object by
object, and gives the same bits. No code travels: a kernel is named, and the calculators know which names
there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bounds import bounds
from ..errors import InputError, KernelError
from ..kernels import Block
from ..kernels.contract import beside
from ..kernels.loading import BUILT_IN, load
from ..text import rows_in_short
from .exposing import expose

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..kernels import Kernel
    from ..problem import Problem
    from .here import Here

    Array = npt.NDArray[Any]


@expose
class Calculator:
    """Computes the steps of one part of the array."""

    def __init__(self) -> None:
        self._kernel: Kernel | None = None

    def prepare(
        self, kernel: str, parameters: dict[str, Any], rows: Array, first: int, delta_t: float, seed: int, dtype: str
    ) -> None:
        """Take a kernel, by its name, and the rows of the initial array.

        Parameters
        ----------
        kernel : str
            A built-in kernel.
        parameters : dict of str to number, or ndarray of shape (m, ...)
        rows : ndarray, shape (m, ...)
        first : int
            The number of the first of them.
        delta_t : float
        seed : int
        dtype : str
            Of the results.

        Raises
        ------
        InputError
            If the kernel is not built in, or a parameter is wrong.
        """
        require_built_in(kernel)
        self._kernel = load(kernel, **parameters)
        self._rows = np.ascontiguousarray(rows, rows.dtype.newbyteorder("="))
        self._state = self._rows.astype(dtype)
        self._parameters = {
            name: beside(self._rows, value) if isinstance(value, np.ndarray) else value
            for name, value in self._kernel.parameters.items()
        }
        self._told = delta_t, (first, first + len(rows)), seed

    def calculate(self, k: int, t: float) -> Array:
        """Return the rows of step `k` (map), or of the step after it (step), an array of shape (m, ...)."""
        kernel = self._kernel
        if kernel is None:
            raise InputError("prepare() comes before calculate()")
        delta_t, rows, seed = self._told
        block = Block(k, t, delta_t, rows, self._parameters, seed)
        out = np.empty_like(self._state)
        with np.errstate(all="ignore"):
            if kernel.kind == "map":
                kernel.evaluate(kernel.prepare(self._rows, block, out), block, out)
            else:
                kernel.evaluate(self._state, block, out)
                self._state = out
        return out


def require_built_in(name: str) -> None:
    """Refuse a kernel that the calculators do not know by name.

    Raises
    ------
    InputError
        If it is not built in.
    """
    if name not in BUILT_IN:
        there = ", ".join(BUILT_IN)
        raise InputError(f"the kernel {name} is not known to the calculators by name. There are: {there}.")


@dataclass(frozen=True)
class RemoteResult:
    """What a run by remote objects gives, on root.

    Attributes
    ----------
    history : ndarray, shape (steps, n, ...)
        ``history[k]`` belongs to ``problem.time(k)``.
    calculators : list of int
        The ranks that computed.
    bounds : list of (int, int)
        The rows ``[lower, upper)`` of each of them.
    calls : int
        How many calls it took.
    nbytes : int
        Bytes of the arrays that travelled.
    seconds_prepare, seconds_steps : float
        Wall time of sending the parts, and of all steps.
    """

    history: Array = field(repr=False)
    calculators: list[int]
    bounds: list[tuple[int, int]]
    calls: int
    nbytes: int
    seconds_prepare: float
    seconds_steps: float

    def __str__(self) -> str:
        steps = max(1, len(self.history))
        return (
            f"{len(self.calculators)} calculators · {self.calls:,} calls · {self.nbytes / 1e6:.1f} MB moved · "
            f"parts {self.seconds_prepare * 1e3:.3g} ms · {self.seconds_steps / steps * 1e3:.3g} ms a step"
        )


def simulate(here: Here, problem: Problem) -> RemoteResult | None:
    """Run a simulation by remote objects. Collective.

    Every rank but root serves a calculator, named ``calculator_<rank>``; a rank that is alone calls its own.
    The ranks that serve return at once, and serve until they leave the ``with`` block of `join`.

    Parameters
    ----------
    here : Here
    problem : Problem
        Only root's is used.

    Returns
    -------
    RemoteResult or None
        On root; None elsewhere.

    Raises
    ------
    InputError
        On root, if the kernel is not known by name, or the array is missing.
    KernelError
        On root, if a kernel failed; its cause is the exception of the other rank.
    """
    calculators = list(range(1, here.size)) or [0]
    if here.rank in calculators:
        here.serve(Calculator(), name=f"calculator_{here.rank}")
    if here.rank != 0:
        return None
    initial, kernel = problem.initial, problem.kernel
    require_built_in(kernel.name)
    if initial is None:
        raise InputError("initial is None on rank 0: rank 0 must have the array that is split")
    proxies = [here.proxy(f"MPINAME:calculator_{rank}") for rank in calculators]
    parts = bounds(len(initial), len(calculators))
    history = np.empty((problem.steps, *initial.shape), _dtype(problem, initial))
    begun = perf_counter()
    waiting = [
        proxy.prepare.submit(
            kernel.name,
            {name: _part(value, lower, upper) for name, value in kernel.parameters.items()},
            initial[lower:upper],
            lower,
            problem.delta_t,
            problem.seed,
            history.dtype.str,
        )
        for proxy, (lower, upper) in zip(proxies, parts, strict=True)
    ]
    for future in waiting:
        future.result()
    prepared = perf_counter()
    for k, whole in enumerate(history):
        source = k if kernel.kind == "map" else k - 1  # a step kernel is told of the state that it goes on from
        if source < 0:
            whole[...] = initial
            continue
        futures = [proxy.calculate.submit(source, problem.time(source)) for proxy in proxies]
        for future, rank, (lower, upper) in zip(futures, calculators, parts, strict=True):
            try:
                whole[lower:upper] = future.result()
            except Exception as error:
                origin = "" if source == k else f" (from step {source}, t = {problem.time(source)})"
                raise KernelError(
                    f"the kernel {kernel.name} failed on rank {rank} at step {k}, t = {problem.time(k)}{origin}, "
                    f"{rows_in_short(lower, upper)}"
                ) from error
    return RemoteResult(
        history=history,
        calculators=calculators,
        bounds=parts,
        calls=len(proxies) * (1 + problem.steps),
        nbytes=initial.nbytes + history.nbytes,
        seconds_prepare=prepared - begun,
        seconds_steps=perf_counter() - prepared,
    )


def _part(value: Any, lower: int, upper: int) -> Any:
    return value[lower:upper] if isinstance(value, np.ndarray) else value


def _dtype(problem: Problem, initial: Array) -> np.dtype[Any]:
    """Return the dtype that the kernel gives, found out with the first row."""
    row = np.zeros((1, *initial.shape[1:]), initial.dtype.newbyteorder("="))
    row[:] = initial[:1] if len(initial) else 0
    parameters = {
        name: beside(row, value[:1]) if isinstance(value, np.ndarray) and len(value) else value
        for name, value in problem.kernel.parameters.items()
    }
    block = Block(0, problem.time(0), problem.delta_t, (0, 1), parameters, problem.seed)
    return problem.kernel.result_dtype(row, block)
