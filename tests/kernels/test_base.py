"""The contract of kernels, and what they are told."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit.kernels
from simsplit import InputError
from simsplit.kernels import Block, Kernel
from simsplit.kernels.random import RandomStream
from tests.support.arrays import NUMERIC
from tests.support.blocks import block_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Square(Kernel):
    """The least that a kernel needs."""

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        np.multiply(x, x, out=out)
        np.add(out, block.t, out=out)


def reference(kernel: Kernel, x: Array, **block: Any) -> Array:
    """Compute rows the plain way."""
    told = block_of(len(x), kernel.parameters, **block)
    return kernel.reference(x, told, kernel.result_dtype(x, told))


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        *((name, "float64") for name in NUMERIC if np.dtype(name).kind in "biu"),
        *((name, name) for name in NUMERIC if np.dtype(name).kind in "fc"),
    ],
)
@pytest.mark.parametrize("parameters", [{}, {"one": 2, "flag": True}, {"one": 0.5}], ids=str)
def test_the_result_has_the_dtype_of_numpys_promotion_with_a_python_float(
    parameters: dict[str, Any], dtype: str, result: str
) -> None:
    kernel = Square(**parameters)
    assert kernel.result_dtype(np.zeros(1, dtype), block_of(1, kernel.parameters)) == np.dtype(result)


@pytest.mark.parametrize(
    ("dtype", "parameter", "result"),
    [
        ("float32", 1j, "complex64"),
        ("int8", 1j, "complex128"),
        ("float32", np.zeros(1), "float64"),
        ("float32", np.zeros(1, "f2"), "float32"),
        ("float32", np.zeros(1, "i2"), "float32"),
        ("float32", np.zeros(1, "i4"), "float64"),
        ("float64", np.zeros(1, ">c8"), "complex128"),
        ("int8", np.zeros(1, "i4"), "float64"),
    ],
)
def test_arrays_and_complex_numbers_as_parameters_take_part_in_the_promotion(
    dtype: str, parameter: Any, result: str
) -> None:
    kernel = Square(rate=parameter)
    assert kernel.result_dtype(np.zeros(1, dtype), block_of(1, kernel.parameters)) == np.dtype(result)


def test_a_kernel_needs_evaluate_only() -> None:
    kernel = Square()
    x = np.arange(4.0)
    assert kernel.name == "Square"
    assert kernel.formula == "The least that a kernel needs."
    assert kernel.kind == "map"
    assert kernel.source is None
    assert kernel.parameters == {}
    assert kernel.prepare(x, block_of(4), np.empty(4)) is x
    np.testing.assert_array_equal(reference(kernel, x, t=0.5), [0.5, 1.5, 4.5, 9.5])


def test_the_default_reference_promotes_integers_and_leaves_the_rows_alone() -> None:
    x = np.array([1, 2, 3], np.int16)
    x.flags.writeable = False
    result = reference(Square(), x, t=0.25)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [1.25, 4.25, 9.25])


class Prepared(Square):
    """Prepares one more."""

    def prepare(self, x: Array, block: Block, scratch: Array) -> Array:
        return np.add(x, 1, out=scratch)


def test_the_default_reference_prepares_before_it_evaluates() -> None:
    np.testing.assert_array_equal(reference(Prepared(), np.arange(3.0)), [1.0, 4.0, 9.0])


def test_nothing_is_prepared_for_a_step_kernel() -> None:
    kernel = Prepared()
    kernel.kind = "step"
    np.testing.assert_array_equal(reference(kernel, np.arange(3.0)), [0.0, 1.0, 4.0])


def test_a_kernel_without_evaluate_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="evaluate"):
        type("Nothing", (Kernel,), {})()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, 3),
        (0.1, 0.1),
        (True, True),
        (1j, 1j),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.array(2.5), 2.5),
        (np.bool_(False), False),
    ],
    ids=repr,
)
def test_a_number_is_kept_as_one_of_python(value: Any, kept: Any) -> None:
    found = Square(rate=value).parameters["rate"]
    assert type(found) is type(kept)
    assert found == kept


@pytest.mark.parametrize(
    "value",
    [nan, inf, -inf, "0.5", "rate.npy", b"1", {}, {1.0}, complex(0, nan), object(), len],
    ids=lambda value: repr(value).partition(" at ")[0],
)
def test_what_is_no_finite_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        Square(rate=value)
    assert str(caught.value) == f"parameter rate must be a finite number, not {value!r}"


@pytest.mark.parametrize("value", [[1.0, 2.0], (1, 2), range(2), np.zeros((2, 3), ">f4", order="F")], ids=repr)
def test_an_array_is_kept_as_it_is_and_a_sequence_becomes_one(value: Any) -> None:
    found = Square(rate=value).parameters["rate"]
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, value)
    if isinstance(value, np.ndarray):
        assert found is value


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(["a", "b"], "<U1"), ([None, 1.0], "object"), (np.zeros(2, "M8[s]"), "datetime64[s]"), ([b"a"], "|S1")],
)
def test_an_array_of_anything_but_numbers_is_refused(value: Any, dtype: str) -> None:
    with pytest.raises(InputError) as caught:
        Square(rate=value)
    assert str(caught.value) == f"parameter rate must be a number or an array of numbers, not an array of {dtype}"


def test_a_ragged_sequence_is_refused() -> None:
    with pytest.raises(InputError, match=r"^parameter rate cannot be made an array: "):
        Square(rate=[[1, 2], [3]])


def test_a_mask_would_be_lost_and_is_refused() -> None:
    with pytest.raises(InputError, match=r"^parameter rate must be a plain array: a mask would be lost"):
        Square(rate=np.ma.masked_array([1.0, 2.0], [True, False]))


def test_an_array_may_hold_what_is_not_a_number() -> None:
    assert np.isnan(Square(rate=[nan, inf]).parameters["rate"][0])


def test_none_stands_for_the_array_that_root_has() -> None:
    assert Square(rate=None).parameters == {"rate": None}


def test_a_block_tells_step_time_rows_and_parameters() -> None:
    parameters = {"rate": 0.5, "shift": np.zeros(3)}
    block = Block(4, 2.5, 0.25, (10, 13), parameters, 7)
    assert (block.k, block.t, block.delta_t, block.lower, block.upper) == (4, 2.5, 0.25, 10, 13)
    assert block["rate"] == 0.5
    assert block["shift"] is parameters["shift"]
    assert block.parameters is parameters
    assert block.row.tolist() == [10, 11, 12]
    assert block.row.dtype == np.int64
    with pytest.raises(KeyError, match="rates"):
        block["rates"]


def test_the_random_numbers_of_a_block_are_those_of_its_seed_step_and_rows() -> None:
    block = Block(4, 2.5, 0.25, (10, 13), {}, 7)
    expected = RandomStream(7, 4, 10, 13).words(2)
    assert block.random.words(2).tolist() == expected.tolist()
    block.k = 5
    assert block.random.words(2).tolist() == RandomStream(7, 5, 10, 13).words(2).tolist()


@pytest.mark.parametrize("name", simsplit.kernels.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(simsplit.kernels, name)
    assert value.__doc__
    assert value.__doc__.strip()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'simsplit.kernels' has no attribute 'afine'$"):
        _ = simsplit.kernels.afine


class Walk(Kernel):
    """A step that tells its time and rows."""

    kind = "step"

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        np.add(x, block.t + block.row, out=out)


def test_a_map_kernel_advances_from_the_same_rows_to_any_steps() -> None:
    x, out = np.arange(3.0), np.empty((3, 3))
    Square().advance(x, block_of(3), range(2, 11, 4), [2.5, 6.5, 10.5], out)
    np.testing.assert_array_equal(out, x * x + np.array([[2.5], [6.5], [10.5]]))


def test_a_step_kernel_advances_from_each_result_to_the_next() -> None:
    x, out = np.arange(3.0), np.empty((2, 3))
    Walk().advance(x, block_of(3, first=10), range(5, 7), [5.5, 6.5], out)
    once = x + (5.5 + np.arange(10, 13))
    np.testing.assert_array_equal(out, [once, once + (6.5 + np.arange(10, 13))])


def test_a_block_tells_which_of_several_steps_failed() -> None:
    class Fails(Walk):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            if block.k == 6:
                raise LookupError
            super().evaluate(x, block, out)

    block = block_of(2)
    with pytest.raises(LookupError):
        Fails().advance(np.zeros(2), block, range(4, 9), [4.5, 5.5, 6.5, 7.5, 8.5], np.empty((5, 2)))
    assert (block.k, block.t) == (6, 6.5)
