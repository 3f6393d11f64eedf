"""Compiled code gives NumPy's bits: of every dtype, layout and kernel, special values and NaN included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import Problem, kernels
from simsplit.backends.llvm import NotCompilable, inexact, passes_self_test
from simsplit.backends.llvm.ir import ZERO
from simsplit.backends.llvm.lowering import NodeLowering
from simsplit.kernels import Kernel, affine, expression
from simsplit.kernels.tracing import INEXACT
from tests.support.arrays import random_array
from tests.support.blocks import dtype_of, history_of, whole_block
from tests.support.compiling import compiled, compiled_history, loop_of
from tests.support.profiles import examples

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

pytestmark = pytest.mark.slow

DTYPES = ["float64", "float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]
FLOATS = ["float64", "float32"]
MODELS = {"logistic": 0, "sir": 3, "oscillator": 2, "lorenz": 3}
EXPRESSIONS = [
    "(offset + x * multiplier) * t",
    "x * exp(-0.5 * t) + row",
    "where(x > 1, x * t, offset - x)",
    "minimum(x, offset) - maximum(multiplier, x)",
    "abs(x) ** 2 - sqrt(abs(x)) / (1 + k)",
    "clip(x, -1, 2) * multiplier",
    "clip(x, offset, multiplier)",
    "clip(multiplier, 0.0, x)",
    "floor(x * 1.5) + ceil(x / 3) * rint(x + 0.5) - trunc(x / 7)",
    "sign(x - 1.0) / x",
    "x if x > t else t",
    "(x > 0) and not (x < 3) or x == row",
    "1 < x <= offset",
    "isnan(x * 1.0) or isinf(x / 0) or isfinite(x * 2.0)",
    "x * k + row",
    "x + x * 2 - -x",
    "square(x) * delta_t + conj(x) - real(x)",
    "(x * 1.0) ** -1 + (x * 1.0) ** 0.5 + (x + 0.0) ** 1",
    "x != offset",
    "x >= row",
    "minimum(x, 0.0) + maximum(-0.0, x)",
    "x / multiplier / t",
]


def parameter(kind: str, dtype: str, shape: tuple[int, ...], seed: int) -> Any:
    """Return a parameter: a number, or a value for each row or for each value."""
    if kind == "number":
        return [2, -0.0, 0.1, 1e300, -7][seed % 5]
    if kind == "by row":
        return random_array(dtype, shape[0], seed)
    return random_array(dtype, int(np.prod(shape)), seed).reshape(shape)


def same_bits(problem: Problem, *, stream: bool, offset: int) -> None:
    expected = history_of(problem)
    found = compiled_history(problem, stream=stream, offset=offset)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


KINDS = st.sampled_from(["number", "by row", "by value"])
SHAPES = st.sampled_from([(1,), (7,), (64,), (333,), (4500,), (5, 3), (40, 70), (3, 2, 9), (2, 1)])


@examples(150)
@given(
    dtype=st.sampled_from(DTYPES),
    other=st.sampled_from(DTYPES),
    kinds=st.tuples(KINDS, KINDS),
    shape=SHAPES,
    seed=st.integers(0, 2**20),
    stream=st.booleans(),
    offset=st.integers(0, 9),
)
def test_affine(
    dtype: str, other: str, kinds: tuple[str, str], shape: tuple[int, ...], seed: int, stream: bool, offset: int
) -> None:
    values = [parameter(kind, other, shape, seed + number) for number, kind in enumerate(kinds)]
    initial = random_array(dtype, int(np.prod(shape)), seed).reshape(shape)
    problem = Problem(initial, affine(offset=values[0], multiplier=values[1]), delta_t=0.3, steps=3, start_time=-0.3)
    same_bits(problem, stream=stream, offset=offset)


@examples(300)
@given(
    text=st.sampled_from(EXPRESSIONS),
    dtype=st.sampled_from(DTYPES),
    other=st.sampled_from(DTYPES),
    kinds=st.tuples(KINDS, KINDS),
    shape=SHAPES,
    seed=st.integers(0, 2**20),
    stream=st.booleans(),
    offset=st.integers(0, 9),
)
def test_expressions(
    text: str,
    dtype: str,
    other: str,
    kinds: tuple[str, str],
    shape: tuple[int, ...],
    seed: int,
    stream: bool,
    offset: int,
) -> None:
    values = {
        name: parameter(kind, other, shape, seed + number)
        for number, (name, kind) in enumerate(zip(("offset", "multiplier"), kinds, strict=True))
        if name in text
    }
    initial = random_array(dtype, int(np.prod(shape)), seed).reshape(shape)
    problem = Problem(initial, expression(text, **values), delta_t=0.25, steps=3, start_time=0.5)
    try:
        with np.errstate(all="ignore"):
            dtype_of(problem)
            loop_of(problem)
    except (NotCompilable, TypeError, OverflowError):  # left to NumPy, which may refuse it, too
        return
    same_bits(problem, stream=stream, offset=offset)


@examples(60)
@given(
    name=st.sampled_from(list(MODELS)),
    dtype=st.sampled_from(FLOATS),
    by_row=st.booleans(),
    length=st.integers(1, 900),
    seed=st.integers(0, 2**20),
    wild=st.booleans(),
    stream=st.booleans(),
    offset=st.integers(0, 9),
)
def test_models(
    name: str, dtype: str, by_row: bool, length: int, seed: int, wild: bool, stream: bool, offset: int
) -> None:
    make, components = getattr(kernels, name), MODELS[name]
    shape = (length, components) if components else (length,)
    initial = np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(dtype)
    if wild:
        initial = random_array(dtype, initial.size, seed).reshape(shape)
    parameters = {each: np.linspace(0.5, 2.0, length) for each in make().parameters} if by_row else {}
    problem = Problem(initial, make(**parameters), delta_t=0.02, steps=4)
    same_bits(problem, stream=stream, offset=offset)


@pytest.mark.parametrize("name", ["sir", "lorenz"])
def test_models_with_several_systems_in_a_row(name: str) -> None:
    initial = np.random.default_rng(3).uniform(0.5, 1.5, (5, 7, 3))
    first = next(iter(getattr(kernels, name)().parameters))
    for values in (0.7, np.linspace(0.1, 1, 5), np.linspace(0.1, 1, 35).reshape(5, 7, 1)):
        problem = Problem(initial, getattr(kernels, name)(**{first: values}), delta_t=0.1, steps=4)
        same_bits(problem, stream=False, offset=1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        (affine(offset=3, multiplier=5), (100_003,)),
        (affine(offset=np.arange(300.0), multiplier=5), (300, 700)),
        (expression("where(x > 1, minimum(x, t), -x) / (row + 1)"), (5000,)),
        (expression("x + x * (1 - x / 2) * delta_t", kind="step"), (5000,)),
        (kernels.lorenz(), (3000, 3)),
        (kernels.oscillator(zeta=0.1), (3000, 2)),
    ],
)
def test_nothing_is_left_to_numpy_without_nan(
    kernel: Kernel, shape: tuple[int, ...], stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the tests above would compare NumPy with itself."""
    initial = np.random.default_rng(1).uniform(0.5, 1.5, shape)
    initial.flat[::11] = [0.0, -0.0, np.inf, 5e-324] * (initial[..., :1].size // 44) if False else 0.75
    problem = Problem(initial, kernel, delta_t=0.05, steps=6)
    expected = history_of(problem)
    assert not np.isnan(expected).any()

    def refuse(*_: Any) -> None:
        raise AssertionError("NumPy was called")

    monkeypatch.setattr(Kernel, "advance", refuse)
    assert compiled_history(problem, stream=stream).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("offset", "multiplier"), [(-0.0, 1.0), (0.0, -1.0), (np.inf, 0.5), (5e-324, 0.5)])
def test_zeros_infinities_and_subnormals(offset: float, multiplier: float, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 2.2e-308, 1e308, -1e308]
    offsets = np.full(9 * 50, offset)
    problem = Problem(
        np.array(values * 50), affine(offset=offsets, multiplier=multiplier), delta_t=-0.25, steps=3, start_time=1.0
    )
    expected = history_of(problem)
    assert not np.isnan(expected).any()
    monkeypatch.setattr(Kernel, "advance", None)
    assert compiled_history(problem, stream=False).tobytes() == expected.tobytes()


def test_only_blocks_with_nan_are_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    initial = np.arange(20_000.0)
    initial[[3, 9_000]] = np.nan, -np.nan
    problem = Problem(initial, affine(offset=3, multiplier=5), delta_t=0.5, steps=3)
    calls: list[tuple[int, int]] = []
    original = Kernel.advance

    def noted(kernel: Any, x: Any, block: Any, *rest: Any) -> None:
        calls.append((block.lower, block.upper))
        original(kernel, x, block, *rest)

    monkeypatch.setattr(Kernel, "advance", noted)
    assert compiled_history(problem, stream=True).tobytes() == history_of(problem).tobytes()
    size = loop_of(problem).block
    assert calls == [(0, size), (9_000 // size * size, 9_000 // size * size + size)]


ZEROS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0])  # and no NaN: its whole block would be left to NumPy


@pytest.mark.parametrize(("dtype", "shape"), [("float64", (36 * 7,)), ("float32", (36, 7))])
@pytest.mark.parametrize(
    "text",
    [
        "clip(x, p, q)",
        "clip(x, 0.0, 1)",
        "clip(x, -0.0, q)",
        "clip(x, p, 0.0)",
        "clip(p, x, -0.0)",
        "clip(x, 0 * t, 1)",
        "1 / clip(x, p, 0.0)",
        "minimum(x, p)",
        "minimum(x, -0.0)",
        "minimum(0.0, x)",
        "maximum(x, p)",
        "maximum(x, 0.0)",
        "maximum(-0.0, x)",
        "sign(x) + -0.0",
        "abs(x) * p",
        "x if x > p else p",
        "where(x == p, x, p)",
        "ceil(x - 0.5) * p",
        "rint(x * 0.5)",
        "trunc(x * 0.5) + -0.0",
        "floor(-x)",
        "0.0 - x",
        "-x",
        "square(x) * -p",
        "(x * 1.0) ** 2 * p",
        "sqrt(x * (x > -1 and x <= 0))",
        "conj(x) * 1",
    ],
)
def test_signs_of_zero_are_those_of_numpy(text: str, shape: tuple[int, ...], dtype: str) -> None:
    parameters = {
        name: np.roll(np.resize(ZEROS, 36), turn).repeat(7)[: np.prod(shape)].astype(dtype).reshape(shape)
        for turn, name in enumerate("pq")
        if name in text.replace("sqrt", "").replace("square", "").replace("clip", "")
    }
    initial = np.resize(ZEROS, shape).astype(dtype)
    problem = Problem(initial, expression(text, **parameters), delta_t=-1.0, steps=2)
    for stream in (False, True):
        same_bits(problem, stream=stream, offset=0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "text",
    ["clip(x, 0/t, 1)", "clip(x, 0, 0/t)", "clip(x, p, 3)", "clip(x, -1, p)", "minimum(x, 0/t)", "maximum(p, x)"],
)
def test_nan_of_a_bound_is_kept(text: str, dtype: str) -> None:
    initial = np.arange(5000.0).astype(dtype)
    bounds = np.zeros(5000, dtype)
    bounds[7::1000] = np.nan
    kernel = expression(text, p=bounds) if "p," in text or "p)" in text else expression(text)
    problem = Problem(initial, kernel, delta_t=1.0, steps=2)
    expected = history_of(problem)
    assert np.isnan(expected).any()
    assert compiled_history(problem, stream=False).tobytes() == expected.tobytes()


def test_zeros_of_one_sign_leave_nothing_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(np.resize([0.0, 1.0, -1.0], 5000), expression("clip(x, 0.0, 0.5)"), delta_t=1.0, steps=2)
    expected = history_of(problem)
    monkeypatch.setattr(Kernel, "advance", None)
    assert compiled_history(problem, stream=False).tobytes() == expected.tobytes()


def lose_nan(values: NodeLowering, name: str, dtype: Any, one: str, other: str) -> str:
    return values._choose("ule" if name == "minimum" else "uge", dtype, (one, other), one, other)


def take_the_first(values: NodeLowering, name: str, dtype: Any, one: str, other: str) -> str:
    return values._choose("ult" if name == "minimum" else "ugt", dtype, (other, one), other, one)


def keep_the_sign(values: NodeLowering, _: str, dtype: Any, operands: list[str]) -> str:
    one = values._call("llvm.copysign", dtype, [values._constant(dtype, 1), operands[0]])
    return values._choose("one", dtype, (operands[0], ZERO), one, operands[0])


def take_the_greater(values: NodeLowering, _: str, dtype: Any, one: str, other: str) -> str:
    return values._call("llvm.maxnum", dtype, [one, other])


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("clip(x, p, 1)", "_extreme", lose_nan),
        ("minimum(x, p)", "_extreme", lose_nan),
        ("minimum(x, p)", "_extreme", take_the_first),
        ("sign(x)", "_of_one_float", keep_the_sign),
        ("maximum(x, p)", "_extreme", take_the_greater),
    ],
)
@pytest.mark.parametrize(("shape", "by_row"), [((1000,), True), ((2, 5000), True), ((2, 5000), False)])
def test_the_check_before_a_run_finds_a_lost_nan_and_another_zero(
    shape: tuple[int, ...], by_row: bool, text: str, old: str, new: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = {"p": np.zeros(shape[:1] if by_row else shape)} if "p)" in text or "p," in text else {}
    problem = Problem(np.zeros(shape), expression(text, **parameters), delta_t=1.0, steps=2)
    block = whole_block(problem, 0)
    assert passes_self_test(compiled(problem), shape[1:], block, [0.0, 1.0])
    monkeypatch.setattr(NodeLowering, old, new)
    assert not passes_self_test(compiled(problem), shape[1:], block, [0.0, 1.0])


@pytest.mark.parametrize("shape", [(), (7,), (100_000,), (3, 2)])
@pytest.mark.parametrize("text", ["1 / clip(x, -0.0, p)", "minimum(x, p) / maximum(p, 0.0)", "x + row * p", "x > p"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_the_check_before_a_run_finds_nothing_wrong_where_nothing_is(
    text: str, shape: tuple[int, ...], dtype: str
) -> None:
    for bounds in (np.zeros(2, dtype), np.zeros((2, *shape), dtype)):
        problem = Problem(np.zeros((2, *shape), dtype), expression(text, p=bounds), delta_t=1.0, steps=2)
        assert passes_self_test(compiled(problem), shape, whole_block(problem, 0), [0.0, 1.0])


def test_a_number_that_changes_its_type_is_left_to_numpy() -> None:
    """10 ** k is a Python integer until it is too large for one."""
    problem = Problem(np.arange(5), expression("x + 10 ** k"), delta_t=1.0, steps=22)
    with np.errstate(all="ignore"):
        same_bits(problem, stream=False, offset=0)


@pytest.mark.parametrize(
    ("kernel", "dtype", "reason"),
    [
        (affine(), "complex128", "complex128 is left to NumPy"),
        (affine(), "float16", "float16 is left to NumPy"),
        (affine(), "longdouble", "is left to NumPy"),
        (expression("x // 2"), "float64", "floor_divide is left to NumPy"),
        (expression("x % 2"), "int64", "remainder is left to NumPy"),
        (expression("t"), "float64", "its result does not depend on its rows"),
        (kernels.gbm(), "float64", "the kernel gbm is not one that simsplit writes out"),
        (kernels.function(lambda x: x, name="mine"), "float64", "the kernel mine is not one that simsplit writes out"),
    ],
)
def test_what_is_left_to_numpy(kernel: Kernel, dtype: str, reason: str) -> None:
    with pytest.raises(NotCompilable, match=reason):
        loop_of(Problem(np.ones(3, dtype), kernel, delta_t=0.5, steps=2))


def test_functions_of_the_library_are_named() -> None:
    loop = loop_of(Problem(np.ones(3), expression("exp(x) * sin(x) + x ** 3 + exp(t)"), delta_t=0.5, steps=2))
    assert inexact(loop) == ["exp", "power", "sin"]
    assert inexact(loop_of(Problem(np.ones(3), expression("x * exp(t) ** 3"), delta_t=0.5, steps=2))) == []


@pytest.mark.parametrize("text", ["exp(x)", "log(x)", "sin(x)", "tanh(x)", "x ** 3", "arctan2(x, 2.0)", "hypot(x, t)"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_the_library_are_near(text: str, dtype: str) -> None:
    initial = np.linspace(0.01, 3.0, 1000).astype(dtype)
    problem = Problem(initial, expression(text), delta_t=0.5, steps=2)
    found = compiled_history(problem, stream=False)
    np.testing.assert_allclose(found, history_of(problem), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", sorted(INEXACT))
@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_the_library_have_nan_and_zeros_where_numpy_has_them(name: str, dtype: str) -> None:
    """Before NumPy computes the blocks with NaN again, which would hide one that is lost."""
    info = np.finfo(dtype)
    few = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e30, np.inf, -np.inf, np.nan, info.max, info.smallest_subnormal]
    x, p = np.repeat(np.array(few, dtype), len(few)), np.tile(np.array(few, dtype), len(few))
    two = name in ("arctan2", "hypot", "fmod", "copysign", "power")
    kernel = expression(f"{name}(x, p)", p=p) if two else expression(f"{name}(x)")
    problem = Problem(x, kernel, delta_t=1.0, steps=1)
    found, expected = np.empty((1, len(x)), dtype), history_of(problem)
    with np.errstate(all="ignore"):
        compiled(problem)._computed(x, whole_block(problem, 0), range(1), [0.0], found, stream=False)
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(np.signbit(found[~nan]), np.signbit(expected[~nan]))
