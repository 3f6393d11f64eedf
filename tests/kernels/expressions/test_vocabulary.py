"""Whether NumPy's functions give the bits of a whole array in any run of its values: what bit identity rests on.

NumPy computes most functions in vector loops with a tail of other code, so that a value might depend on its
place in the run. Each function of the expression language and each other ufunc that a kernel is likely to
call is computed over a whole array and over runs of odd lengths at odd offsets, in every float and complex
dtype, and all bits are compared.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.kernels.expressions.vocabulary import FUNCTIONS, OPERATIONS
from simsplit.verification import bit_mismatch, max_ulp_distance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Array = npt.NDArray[Any]

DTYPES = ["float16", "float32", "float64", "longdouble", "complex64", "complex128"]
OTHERS = (
    "add subtract multiply divide floor_divide remainder power float_power reciprocal square absolute fabs positive "
    "negative logaddexp logaddexp2 heaviside deg2rad rad2deg fmax fmin nextafter spacing equal less logical_and"
)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    **FUNCTIONS,
    **{name: (getattr(np, name), getattr(np, name).nin) for name in OTHERS.split()},
}
# Rounded once, or not at all, as IEEE 754 has it: the same on every machine.
_ONCE = (
    "add subtract multiply divide sqrt square absolute abs fabs positive negative floor ceil trunc rint sign minimum "
    "maximum fmax fmin copysign where clip isnan isfinite isinf equal less logical_and real imag conj nextafter "
    "spacing heaviside"
)
EXACT = {*_ONCE.split()}
BOUND = 4.0  # units in the last place, what NumPy promises of its vector loops; for machines that are not known
KNOWN = platform.machine() == "x86_64"

LENGTH = 3001  # 59 · 51 less 8: no multiple of a vector, and long enough for every loop
EDGES = (
    (0, 1),
    (1, 2),
    (5, 7),
    (3, 10),
    (7, 22),
    (11, 28),
    (13, 46),
    (1, 64),
    (2, 66),
    (17, 144),
    (100, 1101),
    (0, 2999),
)
RUNS = [*EDGES, (1501, LENGTH), (LENGTH - 1, LENGTH)]


def values(dtype: Any, seed: int, length: int = LENGTH) -> Array:
    """Return values within and beyond the domain of most functions, special ones among them."""
    if np.dtype(dtype).kind == "c":
        result = np.empty(length, dtype)
        result.real, result.imag = (values(result.real.dtype, number, length) for number in (seed, seed + 100))
        return result
    rng = np.random.default_rng(seed)
    scaled = rng.standard_normal(length) * 10.0 ** rng.integers(-3, 4, length)
    array = np.where(rng.random(length) < 0.4, rng.uniform(-1, 1, length), scaled).astype(dtype)
    chosen = rng.random(length) < 0.05
    array[chosen] = rng.choice(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1], dtype), int(chosen.sum()))
    return array


def computed(dtype: str, shape: tuple[int, ...] = (LENGTH,)) -> Iterator[tuple[str, Callable[..., Any], list[Array]]]:
    """Return each function that there is for the dtype, with its arguments."""
    for name, (function, arity) in FUNCTIONS.items():
        arguments = [values(dtype, seed, int(np.prod(shape))).reshape(shape) for seed in range(arity)]
        if name == "where":
            arguments[0] = arguments[0].real > 0
        try:
            function(*(argument[:1] for argument in arguments))
        except TypeError:  # such as floor of complex numbers
            continue
        yield name, function, arguments


def wrong(name: str, whole: Array, run: Array) -> bool:
    """Return whether a run differs from the whole array more than is promised."""
    if not bit_mismatch(whole, run).any():
        return False
    return KNOWN or name in EXACT or not max_ulp_distance(whole, run) <= BOUND


def differences(name: str, whole: Array, lower: int, upper: int, *runs: Array) -> list[str]:
    """Return what is to be said of runs that are not as promised."""
    part = whole[lower:upper]
    return [f"{name}[{lower}:{upper}]: {max_ulp_distance(part, run)} ulp" for run in runs if wrong(name, part, run)]


def test_every_function_and_operator_of_expressions_is_tried() -> None:
    assert len(FUNCTIONS) > 60
    assert {*EXACT} <= {*FUNCTIONS}
    by_operators = {
        "add",
        "subtract",
        "multiply",
        "divide",
        "floor_divide",
        "remainder",
        "power",
        "negative",
        "positive",
    }
    assert by_operators <= {*FUNCTIONS}
    assert len(OPERATIONS) == len(by_operators) + 6 + 3  # comparisons; and, or, not


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_run_of_contiguous_values_has_the_bits_of_the_whole_array(dtype: str) -> None:
    found = []
    with np.errstate(all="ignore"):
        for name, function, arguments in computed(dtype):
            whole = function(*arguments)
            for lower, upper in RUNS:
                views = [argument[lower:upper] for argument in arguments]
                copies = map(np.copy, views)  # of other alignments
                found += differences(name, whole, lower, upper, function(*views), function(*copies))
    assert found == []


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "longdouble"])  # its padding is no value
def test_signs_of_zero_do_not_depend_on_the_run(dtype: str) -> None:
    """But for those of fmax and fmin, as docs/kernels.md says."""
    rng, found = np.random.default_rng(5), []
    few = np.array([0.0, -0.0, 1.0, -1.0, 2.0], dtype)
    with np.errstate(all="ignore"):
        for name, function, arguments in computed(dtype):
            if name in ("fmax", "fmin"):
                continue
            zeros = [rng.choice(few, LENGTH) if each.dtype.kind != "b" else each for each in arguments]
            whole = function(*zeros)
            for lower, upper in RUNS:
                found += differences(name, whole, lower, upper, function(*(each[lower:upper] for each in zeros)))
    assert found == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_column_of_some_rows_has_the_bits_of_the_column_of_all(dtype: str) -> None:
    """Rows are contiguous, so that a column of a block has the stride of that of the whole array."""
    found = []
    with np.errstate(all="ignore"):
        for name, function, arguments in computed(dtype, (1000, 3)):
            whole = function(*(argument[:, 1] for argument in arguments))
            for lower, upper in [(lower, min(upper, 1000)) for lower, upper in RUNS if lower < 1000]:
                run = function(*(argument[lower:upper, 1] for argument in arguments))
                found += differences(name, whole, lower, upper, run)
    assert found == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_computed_in_place_has_the_same_bits_but_for_the_signs_of_a_single_zero_or_nan(dtype: str) -> None:
    """NumPy takes another loop for a single value in place, such as the product of two complex numbers."""
    found = []
    with np.errstate(all="ignore"):
        for name, function, arguments in computed(dtype):
            if not isinstance(function, np.ufunc) or function(*arguments).dtype != dtype:
                continue
            whole = function(*arguments)
            for lower, upper in RUNS:
                run, *others = (argument[lower:upper].copy() for argument in arguments)
                function(run, *others, out=run)
                if upper - lower > 1 or max_ulp_distance(whole[lower:upper], run) != 0:
                    found += differences(name, whole, lower, upper, run)
    assert found == []
