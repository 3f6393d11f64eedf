"""Check that a user's kernel is row-local: recompute some rows beside other rows and compare the bits.

A kernel that mixes rows runs without an error, and its results depend on the number of ranks and on the size of
the blocks. So in the first step of a rank, and in later ones that lie further and further apart, two runs of rows
and a single row in the middle of its part are computed once more, in other runs than before. Then the row is computed
between other neighbours. These are made up where all rows are alike, or a rank has one alone, to show something there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.base import read_only
from ..util.dtypes import iter_fields
from ..util.formatting import stdout_held
from ..verification import bit_mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..kernels import Block
    from .local_part import LocalPart
    from .plan import Plan

    Array = npt.NDArray[Any]

LARGEST = 64 * 2**20  # bytes of a row; to compute larger ones again takes memory that the run may not have
_FILLS = (0xA5, 0x5A)  # bytes that are in `out` before a call: what a kernel forgets to write shows
_ROUNDING = 64  # units in the last place of the largest value of a row: a matrix product of one row may differ so far
_READ_ON = 'See "Row-local" in docs/kernels.md. --check-rows no (check_rows=False in Python) leaves out this check.'
_REASONS = {
    "changing": "from the same input the row gets another result each time. Likely: the kernel draws random numbers of "
    "its own (np.random); ask for the argument `random` instead (block.random in a class). Or it keeps something from "
    "one call to the next.",
    "unwritten": "the row is not written whole, and `out` holds anything before the call. Likely: the kernel forgets "
    "out[...] = …, or it reads neighbours and leaves out the edges (out[1:-1] = …): x is a run of rows, and its edges "
    "are not those of the array.",
    "rounding": "the last bits of the row depend on the rows that are computed with it, and so on the number of ranks. "
    "Likely: a matrix product (x @ a; np.einsum gives the same bits), a mean or a sum over the rows, or a loop that "
    "ends when all rows have converged.",
    "mixing": "the row gets another result beside other rows, so the history would depend on the number of ranks. "
    "Likely: the kernel reads neighbours (np.roll, x[1:] - x[:-1]), which a stencil may (docs/grids.md), takes a mean, "
    "a sum or a maximum over the rows, or counts from the first row of x (np.arange(len(x)); the argument `row` has "
    "the numbers).",
}


class RowCheck:
    """Checks the kernel of a rank.

    Parameters
    ----------
    rows : LocalPart
        This rank's.
    plan : Plan
    """

    def __init__(self, rows: LocalPart, plan: Plan) -> None:
        self._rows = rows
        self._total = plan.shape[0]
        self._middle = rows.first + len(rows.part) // 2  # at the edges of the array a kernel may do something else
        self._dtype = plan.history_dtype
        self._is_step = rows.problem.kernel.kind == "step"
        self._done = 0  # the step up to which nothing is to be checked any more
        self._possible = plan.history_row_nbytes > 0 and max(plan.row_nbytes, plan.history_row_nbytes) <= LARGEST

    def look(self, x: Array, block: Block, steps: range, out: Array) -> None:
        """Check what `Kernel.advance` has computed by these arguments, if it is time for that.

        Raises
        ------
        ValueError
            If a row depends on others, with the block at the step and the row.
        Exception
            What the kernel raises, with the block at the rows for which it did.
        """
        due = self._possible and steps.stop > self._done and block.lower <= self._middle < block.upper
        if not due:
            return
        first = [0] if self._done == 0 and len(steps) > 1 else []
        self._done = 2 * steps.stop
        for j in (*first, len(steps) - 1):
            before = read_only(out[j - 1]) if self._is_step and j else x
            self._check(before, block, steps[j], out[j])

    def _check(self, x: Array, block: Block, k: int, result: Array) -> None:
        lower, upper = block.lower, block.upper
        cut = _change(x)
        most = max(2, len(x) // 4)
        runs = [(max(0, cut - most), cut), (cut, min(cut + most, len(x)))]
        for first, end, fill in [(*run, _FILLS[0]) for run in runs if run[0] < run[1]] + [(cut, cut + 1, _FILLS[1])]:
            block.lower, block.upper = lower + first, lower + end
            parameters = self._rows.parameters(block.lower, block.upper)
            self._compare(x[first:end], block, k, parameters, result[first:end], fill)
        if self._total > 1:
            block.lower, block.upper = lower + cut, lower + cut + 1
            alike = cut == 0 or not bit_mismatch(x[cut - 1 : cut], x[cut : cut + 1]).any()
            self._beside_others(x[cut if alike else cut - 1 : cut + 1], block, k, result[cut : cut + 1])
        block.lower, block.upper = lower, upper

    def _compare(self, x: Array, block: Block, k: int, parameters: Mapping[str, Any], result: Array, fill: int) -> None:
        """Compute the rows of `block` again, and compare them with what was computed before."""
        again = self._computed(x, block, k, parameters, fill)
        wrong = _rows_of(bit_mismatch(result, again))
        if not wrong.any() or (len(x) == 1 and _is_rounding(result, again)):  # see "Bits" in docs/kernels.md
            return
        why = "mixing"
        if bit_mismatch(again, self._computed(x, block, k, parameters, fill)).any():
            why = "changing"
        elif bit_mismatch(again, self._computed(x, block, k, parameters, fill ^ 0xFF)).any():
            why = "unwritten"
        elif _is_rounding(result, again):
            why = "rounding"
        self._tell(block, k, block.lower + int(wrong.argmax()), why)

    def _beside_others(self, x: Array, block: Block, k: int, result: Array) -> None:
        """Compute the one row of `block` between other neighbours than before, and compare it.

        It is the last of `x`. Its neighbours are twice the other one, or, if there is none, values that are made up.
        """
        row = block.lower
        lower, upper = max(0, row - 1), min(row + 2, self._total)
        own = row - lower  # where it is among them
        chosen = [0, -1, 0][1 - own :][: upper - lower]
        parameters = {
            name: read_only(value[chosen]) if isinstance(value, np.ndarray) else value
            for name, value in self._rows.parameters(row + 1 - len(x), row + 1).items()
        }
        for much in (3, -1):  # not 1, or both would cancel in a sum
            several = x[chosen]
            for leaf in _leaves_to_change(several) if len(x) == 1 else ():
                leaf[:own] = _otherwise(leaf[:own], -1)
                leaf[own + 1 :] = _otherwise(leaf[own + 1 :], much)
            try:
                beside = self._rows.block(k, lower, upper, parameters)
                again = self._computed(read_only(several), beside, k, parameters, _FILLS[0])[own : own + 1]
            except Exception:  # noqa: BLE001, S112, the kernel may refuse values that are none of the simulation's
                continue
            if bit_mismatch(result, again).any() and not _is_rounding(result, again):
                self._tell(block, k, row, "mixing")
            return

    def _computed(self, x: Array, block: Block, k: int, parameters: Mapping[str, Any], fill: int) -> Array:
        """Return what the kernel gives for the rows `x` of `block`, with `fill` in each byte that it does not write."""
        own = self._rows.block(k, block.lower, block.upper, parameters)
        out = np.empty((1, *x.shape), self._dtype)
        out.reshape(-1).view(np.uint8)[...] = fill
        try:
            with stdout_held():
                self._rows.advance(x, own, range(k, k + 1), [own.t], out)
        except BaseException as error:
            block.k, block.t = k, own.t
            error.add_note(
                "These rows were computed beside others before, and fail without them. A kernel must be able to "
                f"compute any run of rows. {_READ_ON}"
            )
            raise
        result: Array = out[0]
        return result

    def _tell(self, block: Block, k: int, row: int, why: str) -> None:
        block.k, block.t = k, self._rows.problem.time(k)
        block.lower, block.upper = row, row + 1
        raise ValueError(f"{_REASONS[why]} {_READ_ON}")


def _rows_of(values: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return in which rows any value is true."""
    return np.asarray(values.any(axis=tuple(range(1, values.ndim))))


def _change(x: Array) -> int:
    """Return the row next to the middle that is not like the one before it; the middle if all are alike."""
    middle = len(x) // 2
    found = np.flatnonzero(_rows_of(bit_mismatch(x[1:], x[:-1]))) + 1
    return int(found[np.abs(found - middle).argmin()]) if len(found) else middle


def _leaves_to_change(x: Array) -> list[Array]:
    """Return views of the numbers; without the whole ones, which may be names of something, if there are others."""
    every = list(iter_fields(x))
    return [leaf for leaf in every if leaf.dtype.kind in "fc"] or every


def _otherwise(values: Array, much: int) -> Array:
    """Return values that are so many sixteenths farther from zero, or nearer to it if it is negative."""
    if values.dtype.kind == "b":
        return ~values
    if values.dtype.kind in "iu":
        change = np.asarray(much).astype(values.dtype)  # which wraps where there is no sign
        return np.where(values == 0, 1, values + np.sign(values) * change).astype(values.dtype)
    usual = np.isfinite(values) & (values != 0)
    return np.where(usual, values * (1 + much / 16), -much / 16).astype(values.dtype)


def _is_rounding(one: Array, other: Array) -> bool:
    """Return whether two results differ in no more than rounding, signs of zero and bits of NaN."""
    for here, there in zip(iter_fields(one), iter_fields(other), strict=True):
        if here.dtype.kind not in "fc":
            if (here != there).any():
                return False
            continue
        size = np.where(np.isfinite(here), np.abs(here), 0)
        largest = size.max(axis=tuple(range(1, here.ndim)), keepdims=True, initial=0)
        near = np.abs(here - there) <= _ROUNDING * np.finfo(here.dtype).eps * largest
        if not (near | (here == there) | (np.isnan(here) & np.isnan(there))).all():
            return False
    return True
