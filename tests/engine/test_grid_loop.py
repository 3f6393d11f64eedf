"""Any shape, reach, boundary and dtype on any number of ranks at any depth: the bits of a plain program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import Grid, Problem, kernels
from simsplit.communicator.serial import SerialCommunicator
from simsplit.engine import Plan
from simsplit.engine.grid_loop import best_depth, choose_depth
from simsplit.engine.grid_state import GridState
from simsplit.kernels.stencils import stencil
from simsplit.verification import bit_mismatch
from tests.support.grids import history, on_threads
from tests.support.profiles import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = ["fixed 1", "fixed 2", "fixed -1", "wall 1", "no-flux", "mirror", "flux 3"]
DTYPES = ["f4", "f8", "c8", "c16", "i2", "i8", "u1", "u4", "?"]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a grid, a stencil and how they are run."""
    axes = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 9 if axis == 0 else 5)) for axis in range(axes))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    offsets = draw(st.lists(st.tuples(*[st.integers(-3, 3)] * axes), min_size=1, max_size=4))
    reach = [(max(0, -min(o[axis] for o in offsets)), max(0, *(o[axis] for o in offsets))) for axis in range(axes)]
    boundary = []
    for n, (low, high) in zip(shape, reach, strict=True):
        sides = []
        cyclic = ["periodic"] if dtype.kind in "bu" else ["periodic", "anti-periodic"]
        if draw(st.booleans()):
            sides = [draw(st.sampled_from(cyclic))] * 2
        for far in (low, high) if not sides else ():
            known = [text for text in PAIRS if _has_meaning(text, n, far, dtype)]
            sides.append(draw(st.sampled_from(known)))
        boundary.append(tuple(sides))
    return {
        "initial": _values(draw(st.integers(0, 999)), shape + draw(st.sampled_from([(), (2,)])), dtype),
        "shape": shape,
        "offsets": offsets,
        "reach": reach,
        "boundary": boundary,
        "ranks": draw(st.integers(1, 7)),
        "depth": draw(st.integers(1, 5)),
        "steps": draw(st.integers(0, 6)),
        "keep": draw(st.sampled_from(["all", "last", "every:2", "last:3"])),
        "block_size": draw(st.sampled_from([1, 100, 4096])),
        "how": draw(st.sampled_from(["expression", "stencil", "function"])),
        "overlap": draw(st.booleans()),
        "nodes": draw(st.sampled_from([None, 1, 2])),
    }


def _has_meaning(text: str, n: int, far: int, dtype: np.dtype[Any]) -> bool:
    if far and text.startswith(("no-flux", "wall", "flux")) and n < far:
        return False
    if text == "mirror" and far and n < far + 1:
        return False
    if dtype.kind == "b" and text.startswith(("wall", "flux")):
        return False
    if dtype.kind == "b" and text == "fixed 2":
        return False
    return not (dtype.kind in "bu" and "-1" in text)


def _values(seed: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2 if dtype.kind == "b" else 9, shape).astype(dtype)
    if dtype.kind in "fc":
        values = (values + rng.normal(size=shape)).astype(dtype)
    if dtype.kind == "c":
        values = (values + 1j * rng.normal(size=shape)).astype(dtype)
    return values


def _text(offsets: list[tuple[int, ...]], dtype: np.dtype[Any]) -> str:
    terms = [f"x{list(each)}" for each in offsets]
    if dtype.kind == "b":
        return " != ".join(terms[:2]) if len(terms) > 1 else f"not {terms[0]}"
    return " - ".join(f"{number + 2} * {term}" for number, term in enumerate(terms))


def _step(case: dict[str, Any]) -> Any:
    offsets, kind = case["offsets"], case["initial"].dtype.kind

    def step(cells: Any, *_: Any) -> Any:
        terms = [cells(*each) for each in offsets]
        if kind == "b":
            return terms[0] != terms[1] if len(terms) > 1 else np.logical_not(terms[0])
        total = 2 * terms[0]
        for number, term in enumerate(terms[1:], 3):
            total = total - number * term
        return total

    return step


def _kernel(case: dict[str, Any]) -> Any:
    step, reach = _step(case), case["reach"]
    if case["how"] == "expression":
        return kernels.expression(_text(case["offsets"], case["initial"].dtype), kind="step")
    if case["how"] == "stencil":
        return stencil(lambda x: step(lambda *o: x[o]), name="moves")

    def padded(x: Any) -> Any:
        def cells(*offsets: int) -> Any:
            cuts = zip(x.shape[: len(reach)], reach, offsets, strict=True)
            return x[tuple(slice(low + o, n - high + o) for n, (low, high), o in cuts)]

        return step(cells)

    return kernels.function(padded, kind="step", reach=reach)


@pytest.fixture(scope="module", autouse=True)
def _overlap() -> Iterator[None]:
    """Leave the overlap as it was."""
    yield
    GridState.overlap = True


@examples(400)
@given(cases())
def test_the_bits_are_those_of_a_plain_program(case: dict[str, Any]) -> None:
    problem = Problem(
        case["initial"],
        _kernel(case),
        delta_t=1.0,
        steps=case["steps"],
        keep=case["keep"],
        grid=Grid(case["shape"], boundary=[list(pair) for pair in case["boundary"]]),
    )
    GridState.overlap = case["overlap"]
    result = on_threads(
        problem,
        case["ranks"],
        nodes=case["nodes"],
        depth=case["depth"],
        verify=case["ranks"] % 2 == 1,
        block_size=case["block_size"],
    )
    assert result.history is not None
    with np.errstate(all="ignore"):
        expected = history(case["initial"], _step(case), case["reach"], case["boundary"], case["steps"] or 1)
    expected = expected[: case["steps"]][problem.kept.start :: problem.kept.step][: len(problem.kept)]
    assert result.history.dtype == expected.dtype
    assert not bit_mismatch(expected, result.history).any()


def test_long_rows_are_exchanged_often_and_single_values_seldom() -> None:
    def plan(shape: tuple[int, ...], ranks: int, reach: Any = ((1, 1), (1, 1))) -> Plan:
        dtype = np.dtype(float)
        return Plan(shape, dtype, dtype, 10, ranks, reach=reach[: len(shape)])

    assert best_depth(plan((4096, 4096), 2), 2e-6) <= 4
    assert 60 <= best_depth(plan((10**6,), 4), 2e-6) <= 256
    assert best_depth(plan((10**6,), 4), 1.0) == 256
    assert best_depth(plan((40, 3), 8), 1.0) == 1  # of five rows not many are to be computed twice
    assert best_depth(plan((10**6,), 1), 1.0) == 1
    assert best_depth(plan((10**6, 2), 4, ((0, 0), (1, 1))), 1.0) == 1


def test_the_depth_is_what_is_asked_for_but_for_anti_periodic_rows() -> None:
    alone = SerialCommunicator()
    plan = Plan((40,), np.dtype(float), np.dtype(float), 10, 1, reach=((1, 1),))
    for boundary, wanted, expected in (("periodic", 7, 7), ("anti-periodic", 7, 1), ("fixed 0", None, 1)):
        layout = Grid(boundary=boundary).layout((40,), {})
        assert choose_depth(alone, plan, layout, wanted) == expected
