"""The proof: recompute in one process, the plain way, and compare bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import KernelError

if TYPE_CHECKING:
    import numpy.typing as npt

    from .problem import Problem

    Array = npt.NDArray[Any]

_AT_ONCE = 8 * 2**20  # bytes of reference held at a time, so that verifying needs no second history
_X87_BYTES = 10  # of an 80-bit long double; the rest of its 16 bytes is padding, and holds anything
_X87_MANTISSA = 63


@dataclass(frozen=True, slots=True)
class Verification:
    """What comparing found.

    Attributes
    ----------
    identical : bool
        Whether every value of every step has the same bits.
    steps, values : int
        How many were compared.
    different_steps, different_values : int
        How many of them differ.
    first : tuple of (int, int) or None
        Step and row of the first value that differs.
    """

    identical: bool
    steps: int
    values: int
    different_steps: int
    different_values: int
    first: tuple[int, int] | None

    def __str__(self) -> str:
        if self.identical:
            return (
                f"identical: {self.steps:,} of {self.steps:,} steps, {self.values:,} of {self.values:,} values, "
                "bit for bit"
            )
        assert self.first is not None  # noqa: S101, for the type checker
        return (
            f"DIFFERENT: {self.different_values:,} of {self.values:,} values in {self.different_steps:,} of "
            f"{self.steps:,} steps, first at step {self.first[0]}, row {self.first[1]}"
        )


def compare(problem: Problem, history: Array) -> Verification:
    """Compare a history with what one process computes. Root only; not collective.

    Parameters
    ----------
    problem : Problem
        With its initial array.
    history : ndarray, shape (steps, n, ...)

    Returns
    -------
    Verification
    """
    initial = problem.initial
    assert initial is not None  # noqa: S101, for the type checker: root has the array
    row_nbytes = max(1, history.nbytes // max(1, history.shape[0] * history.shape[1]))
    rows = max(1, _AT_ONCE // row_nbytes)
    different_steps = different_values = 0
    first = None
    for k in range(len(history)) if history.size else ():
        in_step = 0
        for lower in range(0, len(initial), rows):
            x = np.ascontiguousarray(initial[lower : lower + rows], initial.dtype.newbyteorder("="))
            try:
                with np.errstate(all="ignore"):
                    expected = problem.kernel.reference(x, problem.time(k))
            except Exception as error:
                raise KernelError(
                    f"the kernel {problem.kernel.name} failed on rank 0 when one process recomputed step {k}, "
                    f"rows {lower}–{lower + len(x) - 1}"
                ) from error
            differs = different(expected, history[k, lower : lower + rows])
            if differs.any():
                if first is None:
                    first = (k, lower + int(np.argwhere(differs)[0][0]))
                in_step += int(np.count_nonzero(differs))
        different_values += in_step
        different_steps += in_step > 0
    return Verification(different_values == 0, len(history), history.size, different_steps, different_values, first)


def different(expected: Array, found: Array) -> npt.NDArray[np.bool_]:
    """Return where two arrays differ in a bit: signed zeros and the payloads of NaN count.

    A shape or dtype that is not the expected one differs everywhere.
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return np.ones(found.shape, np.bool_)
    differs: npt.NDArray[np.bool_] = (_bits(expected) != _bits(found)).any(axis=-1)
    return differs


def _bits(array: Array) -> Array:
    """View values as unsigned words that hold all their significant bits, along one more axis."""
    real = array.real.dtype
    if array.size == 0:  # -1 below stands for anything then
        return np.zeros((*array.shape, 1), np.uint8)
    if real.kind == "f" and real.itemsize > 8 and np.finfo(real).nmant == _X87_MANTISSA:  # noqa: PLR2004
        words = np.ascontiguousarray(array)[..., None].view(np.uint8)
        return words.reshape(*array.shape, -1, real.itemsize)[..., :_X87_BYTES].reshape(*array.shape, -1)
    word = np.dtype(f"u{min(8, real.itemsize)}")
    return np.ascontiguousarray(array)[..., None].view(word)
