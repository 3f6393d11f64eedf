"""The main job by remote objects: a calculator on each of the other ranks, called in parallel for each step.

The collective way (`simsplit.run`) is faster; this one shows what it costs to drive the same work object by
object, and gives the same bits. No code travels: a kernel is named, and the calculators know which names
there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ..bounds import bounds
from ..errors import InputError, KernelError, UnknownNameError
from ..kernels import Block
from ..kernels.base import broadcast_parameter, read_only
from ..kernels.registry import BUILT_IN, load
from ..kernels.result_dtype import history_dtype
from ..util.dtypes import rows_with_nan
from ..util.formatting import format_rows, pluralize
from .client.proxy import uri_of
from .exposure import expose

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..kernels import Kernel
    from ..problem import Problem
    from .session import Session

    Array = npt.NDArray[Any]


@expose
class Calculator:
    """Computes the steps of one part of the array."""

    def __init__(self) -> None:
        self._kernel: Kernel | None = None

    def prepare(
        self,
        kernel: str,
        parameters: dict[str, Any],
        rows: Array,
        first: int,
        delta_t: float,
        seed: int,
        dtype: str,
        nan: str = "allow",
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
        nan : {"allow", "error"}
            Whether a result that is not a number is an error.

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
            name: broadcast_parameter(self._rows, value) if isinstance(value, np.ndarray) else value
            for name, value in self._kernel.parameters.items()
        }
        self._told = delta_t, (first, first + len(rows)), seed
        self._check_nan = nan == "error"

    def calculate(self, k: int, t: float, keep: bool = True) -> Array | None:  # noqa: FBT001, FBT002, sent by position
        """Compute step `k` (map), or the step after it (step); return its rows, shape (m, ...), if they are kept."""
        kernel = self._kernel
        if kernel is None:
            raise InputError("prepare() comes before calculate()")
        delta_t, rows, seed = self._told
        block = Block(k, t, delta_t, rows, self._parameters, seed)
        out = np.empty((1, *self._state.shape), self._state.dtype)
        is_map = kernel.kind == "map"
        with np.errstate(all="ignore"):
            kernel.advance(read_only(self._rows if is_map else self._state), block, range(k, k + 1), [t], out)
        result: Array = out[0]
        if self._check_nan:
            _require_numbers(result, rows[0])
        if not is_map:
            self._state = result
        return result if keep else None


def _require_numbers(result: Array, first: int) -> None:
    bad = rows_with_nan(result)
    if bad.any():
        row = first + int(bad.argmax())
        raise FloatingPointError(f"{int(bad.sum())} of these rows are not a number, the first is row {row}")


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
    history : ndarray, shape (kept steps, n, ...)
        ``history[i]`` belongs to step ``problem.kept[i]``.
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
            f"{pluralize(len(self.calculators), 'calculator')} · {pluralize(self.calls, 'call')} · "
            f"{self.nbytes / 1e6:.1f} MB moved · "
            f"parts {self.seconds_prepare * 1e3:.3g} ms · {self.seconds_steps / steps * 1e3:.3g} ms a step"
        )


def simulate(here: Session, problem: Problem, history: Array | None = None) -> RemoteResult | None:
    """Run a simulation by remote objects. Collective.

    Every rank but root serves a calculator, named ``calculator_<host>``; where several ranks share a host, the
    others that come are ``calculator_<host>_2`` and so on. A rank that is alone calls its own. The ranks that
    serve return at once, and serve until they leave the ``with`` block of `join`.

    Parameters
    ----------
    here : Session
    problem : Problem
        Only root's is used.
    history : ndarray, shape (kept steps, n, ...), optional
        Where root puts the results; by default new memory.

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
    calculators = Calculators(here)
    if here.rank != 0:
        return None
    require_built_in(problem.kernel.name)
    initial = problem.initial
    if initial is None:
        raise InputError("initial is None on rank 0: rank 0 must have the array that is split")
    initial = initial[: len(initial)]  # from its file, if it is in one, of which the collective ranks read their rows
    if history is None:
        dtype = history_dtype(problem.kernel, initial, problem.time(0), problem.delta_t, problem.seed)
        history = np.empty((len(problem.kept), *initial.shape), dtype)
    begun = perf_counter()
    calculators.prepare(problem, initial, history.dtype)
    prepared = perf_counter()
    positions = {k: position for position, k in enumerate(problem.kept)}
    last = problem.kept[-1] + 1 if positions else 0
    for k in range(last) if problem.kernel.kind == "step" else positions:
        calculators.compute(k, history[positions[k]] if k in positions else None)
    return RemoteResult(
        history=history,
        calculators=calculators.ranks,
        bounds=calculators.bounds,
        calls=calculators.calls,
        nbytes=initial.nbytes + history.nbytes,
        seconds_prepare=prepared - begun,
        seconds_steps=perf_counter() - prepared,
    )


class Calculators:
    """The calculators of one simulation: one on every rank but root, which drives them. Collective to make.

    Attributes
    ----------
    ranks : list of int
        The ranks that compute.
    bounds : list of (int, int)
        The rows ``[lower, upper)`` of each of them; on root, once they are prepared.
    calls : int
        How many calls it took.
    """

    def __init__(self, here: Session) -> None:
        number = _runs[here] = _runs.get(here, 0) + 1
        self._here = here
        self._tag = f"simsplit.run-{number}"  # tells the calculators of this run from those of others of the same ranks
        self.ranks = list(range(1, here.size)) or [0]
        self.bounds: list[tuple[int, int]] = []
        self.calls = 0
        if here.rank in self.ranks:
            _serve(here, self._tag)

    def prepare(self, problem: Problem, initial: Array, dtype: np.dtype[Any], state: Array | None = None) -> None:
        """Find the calculators, and give each its rows. Root only.

        Parameters
        ----------
        problem : Problem
        initial : ndarray, shape (n, ...)
        dtype : numpy.dtype
            Of the results.
        state : ndarray, shape (n, ...), optional
            That a step kernel goes on from, if not from `initial`.
        """
        self._problem = problem
        self._initial = initial
        self._proxies = _calculators(self._here, self._tag, self.ranks)
        self.bounds = bounds(len(initial), len(self.ranks))
        kernel, rows = problem.kernel, initial if state is None else state
        waiting = [
            proxy.prepare.submit(
                kernel.name,
                {name: _part(value, lower, upper) for name, value in kernel.parameters.items()},
                rows[lower:upper],
                lower,
                problem.delta_t,
                problem.seed,
                dtype.str,
                problem.nan,
            )
            for proxy, (lower, upper) in zip(self._proxies, self.bounds, strict=True)
        ]
        self.calls += len(waiting)
        for future in waiting:
            future.result()

    def __str__(self) -> str:
        return f"{pluralize(len(self.ranks), 'calculator')} · {self.calls:,} calls"

    def compute(self, k: int, out: Array | None) -> None:
        """Compute step `k` into `out`, if it is given. Root only; the steps of a step kernel in their order.

        Parameters
        ----------
        k : int
        out : ndarray, shape (n, ...), or None

        Raises
        ------
        KernelError
            If a kernel failed; its cause is the exception of the other rank.
        """
        problem = self._problem
        is_step = problem.kernel.kind == "step"
        if is_step and k == 0:
            if out is not None:
                out[...] = self._initial
            return
        told = k - 1 if is_step else k  # a step kernel is told of the state that it goes on from
        futures = [proxy.calculate.submit(told, problem.time(told), out is not None) for proxy in self._proxies]
        self.calls += len(futures)
        for future, rank, (lower, upper) in zip(futures, self.ranks, self.bounds, strict=True):
            try:
                rows = future.result()
            except Exception as error:
                raise _failed(problem, told, rank, (lower, upper)) from error
            if out is not None:
                out[lower:upper] = rows


_runs: WeakKeyDictionary[Session, int] = WeakKeyDictionary()  # how many simulations there were


def _failed(problem: Problem, k: int, rank: int, span: tuple[int, int]) -> KernelError:
    """Return the error of a calculator that was told to compute `k`."""
    kernel = problem.kernel
    step = k if kernel.kind == "map" else k + 1
    origin = "" if step == k else f" (from step {k}, t = {problem.time(k)})"
    return KernelError(
        f"the kernel {kernel.name} failed on rank {rank} at step {step}, t = {problem.time(step)}{origin}, "
        f"{format_rows(*span)}"
    )


def _serve(here: Session, tag: str) -> None:
    """Serve a calculator under a name that no other has."""
    uri = here.serve(Calculator())
    base = name = f"calculator_{here.host}"
    for number in count(2):
        try:
            here.names.register(name, str(uri), (tag, f"rank-{here.rank}"), safe=True)
        except InputError:
            name = f"{base}_{number}"
        else:
            return


def _calculators(here: Session, tag: str, ranks: list[int]) -> list[Any]:
    """Return proxies of the calculators, found by name once all are registered, in the order of their ranks."""
    found: dict[str, str] = {}

    def all_there() -> bool:
        found.update(here.names.list_names("calculator_", tags=(tag,)))
        return len(found) == len(ranks)

    if not here.wait_until(all_there, here.settings.lookup_wait):
        there = ", ".join(sorted(found)) or "none"
        raise UnknownNameError(f"of {pluralize(len(ranks), 'calculator')} these are registered: {there}")
    proxies = [here.proxy(f"MPINAME:{name}") for name in found]
    return sorted(proxies, key=lambda proxy: uri_of(proxy).rank)


def _part(value: Any, lower: int, upper: int) -> Any:
    return value[lower:upper] if isinstance(value, np.ndarray) else value
