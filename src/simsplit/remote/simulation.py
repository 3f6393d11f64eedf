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

from .. import kernels
from ..bounds import bounds
from ..errors import InputError, KernelError
from .exposing import expose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ..kernels import Kernel
    from ..problem import Problem
    from .here import Here

    Array = npt.NDArray[Any]

KERNELS: Mapping[str, Callable[..., Kernel]] = {"affine": kernels.affine}  # those that may be asked for by name


@expose
class Calculator:
    """Computes the steps of one part of the array."""

    def __init__(self) -> None:
        self._kernel: Kernel | None = None
        self._rows: Array | None = None

    def prepare(self, kernel: str, parameters: dict[str, float], rows: Array) -> None:
        """Take a kernel, by its name, and the rows of the initial array.

        Parameters
        ----------
        kernel : str
            A name of `KERNELS`.
        parameters : dict of str to float
        rows : ndarray, shape (m, ...)

        Raises
        ------
        InputError
            If the kernel is not known by name, or a parameter is wrong.
        """
        self._kernel = kernel_by_name(kernel)(**parameters)
        self._rows = np.ascontiguousarray(rows, rows.dtype.newbyteorder("="))

    def calculate(self, t: float) -> Array:
        """Return the rows for the time `t`, an array of shape (m, ...)."""
        kernel, rows = self._kernel, self._rows
        if kernel is None or rows is None:
            raise InputError("prepare() comes before calculate()")
        out = np.empty(rows.shape, kernel.result_dtype(rows.dtype))
        with np.errstate(all="ignore"):
            kernel.evaluate(kernel.prepare(rows, out), t, out)
        return out


def kernel_by_name(name: str) -> Callable[..., Kernel]:
    """Return what makes the kernel of that name.

    Raises
    ------
    InputError
        If it is not one of `KERNELS`.
    """
    if name not in KERNELS:
        raise InputError(f"the kernel {name} is not known to the calculators by name. There are: {', '.join(KERNELS)}.")
    return KERNELS[name]


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
    kernel_by_name(kernel.name)
    if initial is None:
        raise InputError("initial is None on rank 0: rank 0 must have the array that is split")
    proxies = [here.proxy(f"MPINAME:calculator_{rank}") for rank in calculators]
    parts = bounds(len(initial), len(calculators))
    history = np.empty((problem.steps, *initial.shape), kernel.result_dtype(initial.dtype.newbyteorder("=")))
    begun = perf_counter()
    waiting = [
        proxy.prepare.submit(kernel.name, dict(kernel.parameters), initial[lower:upper])
        for proxy, (lower, upper) in zip(proxies, parts, strict=True)
    ]
    for future in waiting:
        future.result()
    prepared = perf_counter()
    for k, whole in enumerate(history):
        futures = [proxy.calculate.submit(problem.time(k)) for proxy in proxies]
        for future, rank, (lower, upper) in zip(futures, calculators, parts, strict=True):
            try:
                whole[lower:upper] = future.result()
            except Exception as error:
                raise KernelError(
                    f"the kernel {kernel.name} failed on rank {rank} at step {k}, t = {problem.time(k)}, "
                    f"rows {lower}–{upper - 1}"
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
