"""What was noted of one block is done again for the next, and only where all of it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid
from simsplit.kernels import expression
from simsplit.kernels.base import Block
from simsplit.kernels.expressions.tape import Tape

LAYOUT = Grid(boundary="periodic").layout((40, 5), {})


def test_operations_are_done_again_with_other_arrays() -> None:
    x, out, between = np.arange(10.0), np.zeros(8), np.zeros(8)
    tape = Tape([x, out])
    tape.note(np.add, [x[:-2], x[2:]], between)
    tape.note(np.multiply, [between, 0.5], between)
    tape.note(np.subtract, [between, x[1:-1]], out)
    assert tape.complete
    other, result = np.arange(10.0) ** 2, np.zeros(8)
    tape.play([other, result])
    assert result.tolist() == [1.0] * 8
    assert not out.any()


@pytest.mark.parametrize(("operands", "out"), [([np.ones(3)], None), ([np.ones(3), "text"], np.ones(3))])
def test_what_cannot_be_done_again_is_not_noted(operands: Any, out: Any) -> None:
    tape = Tape([np.ones(3)])
    tape.note(np.negative, operands, out)
    assert not tape.complete


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("x + r * laplace(x)", True),
        ("x + r * div(d, x) + dx(x) * dy(x) * biharmonic(x)", True),
        ("x + t * laplace(x)", False),
        ("x + k * x[1]", False),
        ("where(x > x[1], x, -x[1])", False),
        ("x + row * x[1]", False),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_blocks_of_any_content_give_numpys_bits(text: str, noted: bool, dtype: str) -> None:
    if "where" in text and dtype == "c16":
        return
    parameters: dict[str, Any] = {"r": 0.2} if "r *" in text else {}
    rng = np.random.default_rng(7)
    d = rng.random((40, 5)).astype(dtype)
    kernel = expression(text, kind="step", **parameters, **({"d": d} if "d," in text else {}))
    fresh = expression(text, kind="step", **parameters, **({"d": d} if "d," in text else {}))
    reach = kernel.reach_on(2, (5,), np.dtype(dtype))
    (low, high), (left, right) = reach
    state = rng.random((40 + low + high, 5 + left + right)).astype(dtype)
    around = np.pad(d, reach, "wrap")
    for lower in (0, 10, 20, 30):
        rows = slice(lower, lower + 10 + low + high)
        given = {**parameters, **({"d": d[lower : lower + 10]} if "d," in text else {})}
        wide = {"d": around[rows]} if "d," in text else {}
        block = Block(lower, 0.5 * lower, 0.1, (lower, lower + 10), given, grid=LAYOUT, reach=reach, around=wide)
        target = np.zeros((10, state.shape[1]), dtype)[:, left : left + 5]
        kernel.evaluate(state[rows], block, target)
        plain = np.zeros((10, 5), dtype)
        fresh.evaluate(state[rows], block, plain)  # whose rows lie without gaps, so that nothing is noted
        assert (target == plain).all()
    assert bool(kernel._of_thread()[1]) is noted
    assert not fresh._of_thread()[1]
