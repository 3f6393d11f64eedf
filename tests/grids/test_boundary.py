"""Each boundary has one definition of its ghosts; what is none is refused with what is accepted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.grids.boundary import Side, parse_side
from tests.support.profiles import examples

INNER = np.array([[3.0, 30.0], [5.0, 50.0], [7.0, 70.0]])  # from the edge inwards


def ghosts(text: Any, inner: Any = INNER, far: int = 2, **names: Any) -> Any:
    """Return the ghosts of a boundary, from the edge outwards."""
    side = parse_side(text, [name for name in names if name not in ("t", "X")])
    found = np.zeros((far, *inner.shape[1:]), inner.dtype)
    side.fill(found, inner[: far + (side.least or 0)], names, 0.5)
    return found.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fixed 2", [[2, 2], [2, 2]]),
        ("fixed  2 * t", [[8, 8], [8, 8]]),
        ("wall 1", [[-1, -28], [-3, -48]]),
        ("no-flux", [[3, 30], [5, 50]]),
        ("flux 4", [[1, 28], [-1, 44]]),
        ("mirror", [[5, 50], [7, 70]]),
        ("0.5 * inner + t", [[5.5, 19], [6.5, 29]]),
        ("a * inner", [[6, 60], [10, 100]]),
        ("t", [[4, 4], [4, 4]]),
    ],
)
def test_the_ghosts_are_as_they_are_defined(text: str, expected: Any) -> None:
    assert ghosts(text, t=4.0, a=2.0) == expected


def test_a_function_gets_the_inner_cells_and_what_it_asks_for() -> None:
    def twice(inner: Any, t: float, a: float) -> Any:
        return 2 * inner + t + a

    assert ghosts(twice, t=1.0, a=0.5) == [[7.5, 61.5], [11.5, 101.5]]
    assert ghosts(lambda inner: inner[::-1]) == [[5, 50], [3, 30]]


def test_of_fields_each_has_its_ghosts() -> None:
    inner = np.zeros(3, [("u", "f8"), ("n", "i4")])
    inner["u"], inner["n"] = [1.5, 2.5, 3.5], [1, 2, 3]
    assert ghosts("wall 1", inner) == [(0.5, 1), (-0.5, 0)]
    assert ghosts("mirror", inner) == [(2.5, 2), (3.5, 3)]
    assert ghosts(lambda inner: inner, inner) == [(1.5, 1), (2.5, 2)]


@pytest.mark.parametrize(
    ("dtype", "text", "expected"),
    [("u1", "fixed 7", [7, 7]), ("?", "fixed 1", [True, True]), ("i8", "flux 4", None), ("c16", "fixed 2j", [2j, 2j])],
)
def test_values_stay_what_they_are(dtype: str, text: str, expected: Any) -> None:
    inner = np.array([1, 0, 1]).astype(dtype)
    side = parse_side(text)
    found = np.zeros(2, dtype)
    side.fill(found, inner[:2], {}, 1.0)
    assert found.tolist() == ([-3, -12] if expected is None else expected)


@pytest.mark.parametrize(
    ("dtype", "text"),
    [("i8", "fixed 0.5"), ("u1", "fixed -1"), ("u1", "fixed 300"), ("?", "fixed 2"), ("f8", "fixed 1j")],
)
def test_a_value_that_the_dtype_does_not_hold_is_refused(dtype: str, text: str) -> None:
    inner = np.ones(3, dtype)
    with pytest.raises(
        InputError, match=rf"the boundary '{text}' gives .*, which the grid's {np.dtype(dtype)} does not"
    ):
        parse_side(text).fill(np.zeros(2, dtype), inner, {}, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "a boundary cannot be ''. Accepted are"),
        (3, "a boundary cannot be 3. Accepted are"),
        (None, "a boundary cannot be None"),
        ("fixed", "the boundary 'fixed' wants a value, such as fixed 0"),
        ("fixed zero", "the name `zero` is not known"),
        ("peridic", "the name `peridic` is not known"),
        ("x + 1", "the name `x` is not known"),
        ("inner[1]", "reads neighbours"),
        (lambda inner, speed: inner * speed, "wants speed"),
    ],
)
def test_what_is_no_boundary_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_side(given)
    assert message in str(caught.value)


def test_a_side_knows_what_it_uses_and_needs() -> None:
    assert parse_side("a * inner + t", ["a"]).names == {"a", "inner", "t"}
    assert parse_side("mirror").least == 1
    assert parse_side("no-flux").least == 0
    assert parse_side("fixed 1").least is None
    assert parse_side("  flux   2 ").text == "flux 2"
    assert isinstance(parse_side("periodic"), Side)


@examples(300)
@given(st.text(alphabet="fixedwal -nopruc01.5*+()[]rXtk", max_size=20) | st.text(max_size=12))
def test_any_text_is_a_boundary_or_refused(text: str) -> None:
    try:
        side = parse_side(text, ["a"])
    except InputError:
        return
    names = dict.fromkeys(("t", "k", "delta_t", "row", "column", "layer", "X", "Y", "Z", "a"), 1.5)
    found, refused = np.zeros((2, 2)), ""
    if side.kind not in ("periodic", "anti-periodic"):
        with np.errstate(all="ignore"):
            try:
                side.fill(found, INNER, names, 0.5)
            except InputError as error:
                refused = str(error)
    assert not refused or "does not hold" in refused
