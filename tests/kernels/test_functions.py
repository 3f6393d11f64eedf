"""Functions and ufuncs as kernels: what they may ask for, and what they must give."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import InputError, KernelError, Problem, kernels, plan, run
from simsplit.kernels import function
from simsplit.kernels.random import RandomStream

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run have several blocks."""
    monkeypatch.setattr("simsplit.runs.pipeline.block_nbytes", lambda: 24)


def history(kernel: Any, initial: Any = None, steps: int = 3, **changes: Any) -> Array:
    """Run in one process; return the history, which must be verified."""
    initial = np.arange(7.0) if initial is None else initial
    problem = Problem(initial, kernel, delta_t=0.5, steps=steps, **{"start_time": 1.0, **changes})
    result = run(problem, serial=True, verify=True)
    assert result.history is not None
    return result.history


def failure(kernel: Any, initial: Any = None, steps: int = 3) -> str:
    """Run in one process; return what the user is told."""
    with pytest.raises(KernelError) as caught:
        history(kernel, initial, steps)
    text = str(caught.value)
    if caught.value.__cause__ is not None and "Traceback" not in text:
        text += f": {caught.value.__cause__}"
    return text


X = np.arange(7.0)
TIMES = np.array([1.0, 1.5, 2.0])[:, None]
ROWS, K = np.arange(7), np.arange(3)[:, None]


def keyword_only(x: Array, *, t: float, rate: float = 1.0) -> Array:
    """Ask by keyword."""
    return x * t * rate


def positional_only(x: Array, /, t: float) -> Array:
    """Have a first argument without a name."""
    return x * t


def anything(x: Array, **others: Any) -> Array:
    """Take whatever parameter is given."""
    return x * sum(others.values())


def spring(x: Array, k: float = 10.0) -> Array:
    """Have a parameter that is called like the number of the step."""
    return -k * x


def anything_of(x: Array, row: Array) -> Array:
    """Ask for the rows by position."""
    return x + row


class Shift(kernels.Kernel):
    """A class of kernels."""

    def evaluate(self, x: Array, block: kernels.Block, out: Array) -> None:
        """Write the result to `out`."""
        np.add(x, block["by"], out=out)


class Callable:
    """An object that can be called."""

    def __call__(self, x: Array, t: float) -> Array:
        return x - t

    def method(self, x: Array, k: int) -> Array:
        """Can be called, too."""
        return x * k


def into_out(x: Array, t: float, out: Array) -> None:
    """Write, and return nothing."""
    np.multiply(x, t, out=out)


def into_out_and_back(x: Array, out: Array) -> Array:
    """Write, and return what was written to."""
    return np.add(x, 1, out=out)


def out_unused(x: Array, out: Array | None = None) -> Array:
    """Ask for out, and return another array."""
    assert out is not None
    return x + 2


@pytest.mark.parametrize(
    ("asked", "parameters", "expected"),
    [
        (lambda x: x + 1, {}, X + 1 + 0 * TIMES),
        (lambda x, t: x * t, {}, X * TIMES),
        (lambda t, k: t * k, {}, X * K),  # the first argument is the rows, whatever its name
        (lambda x, delta_t: x + delta_t, {}, X + 0.5 + 0 * TIMES),
        (lambda x, row, t: x + row * t, {}, X + ROWS * TIMES),
        (lambda x, k, rate: x + k * rate, {"rate": 4}, X + 4 * K),
        (lambda x, rate=3: x * rate, {}, X * 3 + 0 * TIMES),
        (lambda x, rate=3: x * rate, {"rate": 4}, X * 4 + 0 * TIMES),
        (lambda x, rate: x * rate, {"rate": X[::-1]}, X * X[::-1] + 0 * TIMES),
        (lambda x, t=None: x * t, {}, X * TIMES),
        (keyword_only, {}, X * TIMES),
        (keyword_only, {"rate": 2.0}, X * TIMES * 2),
        (positional_only, {}, X * TIMES),
        (anything, {"one": 1, "two": 2}, X * 3 + 0 * TIMES),
        (Callable(), {}, X - TIMES),
        (Callable().method, {}, X * K),
        (partial(keyword_only, rate=3.0), {}, X * TIMES * 3),
        (into_out, {}, X * TIMES),
        (into_out_and_back, {}, X + 1 + 0 * TIMES),
        (out_unused, {}, X + 2 + 0 * TIMES),
        (np.sqrt, {}, np.sqrt(X) + 0 * TIMES),
        (np.multiply, {}, X * TIMES),
        (np.multiply, {"factor": 3}, X * 3 + 0 * TIMES),
        (np.subtract, {"other": X[::-1].copy()}, X - X[::-1] + 0 * TIMES),
        (np.vectorize(lambda x, t: x * t, otypes=[float]), {}, X * TIMES),
        (np.vectorize(lambda x, row, rate: x * rate - row if x < 3 else 0.0), {"rate": 2.0}, np.where(X < 3, X, 0)),
        (np.vectorize(lambda x, rate=0.5: x * rate), {"rate": X[::-1]}, X * X[::-1]),
        (np.vectorize(abs), {}, X),
    ],
)
def test_a_function_gets_what_it_asks_for_by_name(asked: Any, parameters: dict[str, Any], expected: Array) -> None:
    found = history(function(asked, **parameters))
    assert found.dtype == np.float64
    assert found.tobytes() == (expected + 0 * TIMES).tobytes()


def test_a_function_gets_the_random_numbers_of_its_rows() -> None:
    found = history(lambda x, random: x + random.uniform() + random.uniform(), seed=5)
    for k, step in enumerate(found):
        draws = RandomStream(5, k, 0, 7)
        assert step.tolist() == (X + draws.uniform() + draws.uniform()).tolist()


def test_a_step_function_gets_the_state_and_its_step() -> None:
    asked: list[tuple[int, float, list[float]]] = []

    def counted(x: Array, t: float, k: int) -> Array:
        asked.append((k, t, x.tolist()))
        return x + t

    found = history(function(counted, kind="step"), [10.0], steps=4)
    assert found[:, 0].tolist() == [10.0, 11.0, 12.5, 14.5]
    assert (0, 1.0, [10.0]) in asked
    assert (2, 2.0, [12.5]) in asked
    assert max(asked)[0] == 2


@pytest.mark.parametrize(
    ("asked", "expected"), [(np.cos, "float64"), (lambda x: x / 2, "float64"), (lambda x: x * 1j, "complex128")]
)
def test_a_step_function_may_widen_the_initial_array_once(asked: Any, expected: str) -> None:
    found = history(function(asked, kind="step"), np.arange(4, dtype=np.int32))
    assert found.dtype == expected
    assert found[0].tolist() == [0, 1, 2, 3]
    assert found[1].tolist() == asked(np.arange(4).astype(expected)).tolist()


@pytest.mark.parametrize("dtype", ["float32", "complex64", "int16", "bool"])
def test_a_map_function_gives_the_dtype_that_it_returns(dtype: str) -> None:
    assert history(lambda x: np.array(x, dtype), [0, 1, 0, 1]).dtype == dtype
    assert history(lambda x: x, np.array([0, 1], dtype)).dtype == dtype


def calls(kind: Any, initial: Any, **changes: Any) -> list[tuple[int, int]]:
    """Return step and number of rows of each call of a function in a run of two steps."""
    found: list[tuple[int, int]] = []

    def noted(x: Array, k: int) -> Array:
        found.append((k, len(x)))
        return x * 2.0

    kernel = function(noted, kind=kind, **changes)
    run(Problem(initial, kernel, delta_t=0.5, steps=3), serial=True, check_rows=False, block_size=24)
    return found


def test_the_result_of_the_first_row_is_used_where_the_run_begins_with_the_same_call() -> None:
    assert calls("map", np.ones(1)) == [(0, 1), (1, 1), (2, 1)]
    assert calls("step", np.ones(1)) == [(0, 1), (1, 1)]
    assert calls("step", np.ones(1, int)) == [(0, 1)] * 3 + [(1, 1)]  # the first step begins with floats
    assert calls("map", np.ones(3)) == [(0, 1), (0, 3), (1, 3), (2, 3)]
    assert calls("map", np.ones(2), dtype=float) == [(0, 2), (1, 2), (2, 2)]
    assert calls("step", np.ones(1, int), dtype="float64") == [(0, 1), (1, 1)]


@pytest.mark.parametrize("kind", ["map", "step"])
def test_a_result_that_is_used_again_has_the_bits_of_a_second_call(kind: Any) -> None:
    def drawn(x: Array, random: Any, rate: Any) -> Array:
        return x * rate + random.normal()

    for rate in (0.5, np.array([0.5]), np.array([0.25, 0.75])):
        rows = np.array([-0.0, 1.0])[: np.size(rate)]
        one, other = (history(function(drawn, kind=kind, rate=rate, **given), rows) for given in ({}, {"dtype": "f8"}))
        assert one.tobytes() == other.tobytes()


def test_a_trial_is_for_the_next_run_alone() -> None:
    factor = 1.0

    def scaled(x: Array, k: int) -> Array:
        return x * factor * (k + 1)

    kernel = function(scaled)
    problem = Problem(np.ones(1), kernel, delta_t=0.5, steps=1)
    assert plan(problem).plan.history_dtype == np.dtype("f8")
    factor = 3.0
    assert history(kernel, np.ones(1), steps=1).tolist() == [[3.0]]


def test_a_dtype_that_is_wrong_is_told() -> None:
    with pytest.raises(InputError, match="dtype must be a numeric or complex dtype, such as float64, not 'soon'"):
        function(lambda x: x, dtype="soon")
    text = failure(function(lambda x: x, dtype="float32"))
    assert "<lambda> gives float64 here, but was said to give float32" in text
    assert "rows 0–5" in text
    text = failure(function(lambda x: x, kind="step", dtype="float32"))
    assert "is said to give float32, which does not hold the initial array's float64: a step begins with it" in text


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_printed_beside_the_run_is_kept_back(capsys: pytest.CaptureFixture[str], fails: bool) -> None:
    def talking(x: Array, k: int) -> Array:
        print("step", k, "of", len(x), "rows")
        return x[:0] if fails else x * 1.0

    if fails:
        failure(talking)
        assert capsys.readouterr().out == "step 0 of 1 rows\n"
        return
    for rows in (1, 3):
        history(talking, np.arange(float(rows)))
        assert capsys.readouterr().out == "".join(f"step {k} of {rows} rows\n" for k in range(3))


def test_rows_of_many_axes_keep_their_shape() -> None:
    initial = np.arange(60.0).reshape(5, 3, 4)
    found = history(function(lambda x, rate: x * rate, rate=np.arange(5)), initial)
    assert found[0].tolist() == (initial * np.arange(5)[:, None, None]).tolist()


def documented(x: Array) -> Array:
    """Give the rows as they are.

    And no more.
    """
    return x


@pytest.mark.parametrize(
    ("asked", "parameters", "formula"),
    [
        (documented, {}, "Give the rows as they are."),
        (keyword_only, {"rate": 2.0}, "Ask by keyword."),
        (lambda x, t, rate: x * t * rate, {"rate": 2.0}, "<lambda>(x, t, rate)"),
        (lambda x: x, {}, "<lambda>(x)"),
        (np.sqrt, {}, "sqrt(x)"),
        (partial(keyword_only, rate=2.0), {}, "partial(x, t)"),
    ],
)
def test_the_formula_is_what_the_function_says_of_itself_or_its_signature(
    asked: Any, parameters: dict[str, Any], formula: str
) -> None:
    assert function(asked, **parameters).formula == formula


def test_the_name_is_that_of_the_function_unless_it_is_given_another() -> None:
    assert function(np.sqrt).name == "sqrt"
    assert function(keyword_only).name == "keyword_only"
    assert function(lambda x: x).name == "<lambda>"
    assert function(Callable()).name == "Callable"
    assert function(lambda x: x, name="decay").name == "decay"
    assert function(lambda x: x).kind == "map"
    assert function(lambda x: x, kind="step").kind == "step"


@pytest.mark.parametrize(
    ("asked", "parameters", "message"),
    [
        (
            lambda x, rate: x * rate,
            {},
            (
                "the function <lambda> wants rate, which is not given. Give it as a parameter, or use one of "
                "t, k, delta_t, row, random, out."
            ),
        ),
        (
            lambda x, *, rows: x * rows,
            {},
            (
                "the function <lambda> wants rows, which is not given. Give it as a parameter, or use one of "
                "t, k, delta_t, row, random, out."
            ),
        ),
        (lambda x, t: x * t, {"rate": 1}, "the function <lambda> has no parameter rate; it has none"),
        (
            lambda x, rate, shift=0: x * rate + shift,
            {"rate": 1, "shfit": 2},
            "the function <lambda> has no parameter shfit. Did you mean shift? It has rate, shift",
        ),
        (lambda: 3, {}, "the function <lambda> must take the rows as its first argument"),
        (lambda *rows: rows, {}, "the function <lambda> must take the rows as its first argument"),
        (lambda *, x: x, {}, "the function <lambda> must take the rows as its first argument"),
        (
            lambda x, t, /: x * t,
            {},
            "the function <lambda> can take only its first argument by position, but wants more",
        ),
        *(
            (
                asked,
                {},
                (
                    f"the function {name} has the default {default}, but {default.partition('=')[0]} is what simsplit "
                    "fills in (see docs/kernels.md). If it is a parameter of yours, rename it; if not, leave the "
                    "default out."
                ),
            )
            for asked, name, default in (
                (spring, "spring", "k=10.0"),
                (lambda x, *, t=0.0: x * t, "<lambda>", "t=0.0"),
                (np.vectorize(spring), "spring", "k=10.0"),
                (partial(anything_of, row=3), "partial", "row=3"),
                (partial(anything_of, row=np.arange(2)), "partial", "row=array([0, 1])"),
            )
        ),
        (
            np.vectorize(lambda x, random: x + random.normal(), otypes=[float]),
            {},
            "the function <lambda> is called value by value, and cannot ask for random. Write it for whole arrays.",
        ),
        *(
            (
                maker,
                parameters,
                f"{name} {what}, and is none by itself: give an object, with its parameters, such as {name}({example})",
            )
            for maker, parameters, name, what, example in (
                (Shift, {}, "Shift", "is a class", "rate=0.5"),
                (Shift, {"by": 3}, "Shift", "is a class", "by=3"),
                (kernels.affine, {}, "affine", "makes a kernel", "offset=3.0, multiplier=5.0"),
                (kernels.sir, {}, "sir", "makes a kernel", "beta=0.3, gamma=0.1"),
            )
        ),
        (max, {}, "the arguments of max are not known. Wrap it: lambda x: max(x)"),
        (3.0, {}, "a kernel must be a function, a ufunc or a Kernel, not 3.0"),
        ("affine", {}, "a kernel must be a function, a ufunc or a Kernel, not 'affine'"),
        (
            np.add,
            {"one": 1, "two": 2},
            (
                "the ufunc add has 2 inputs and 1 outputs, which does not fit x, t and 2 parameters. It must have one "
                "output, and inputs for x, t if wanted, and each parameter."
            ),
        ),
        (
            np.divmod,
            {},
            (
                "the ufunc divmod has 2 inputs and 2 outputs, which does not fit x, t and 0 parameters. It must "
                "have one output, and inputs for x, t if wanted, and each parameter."
            ),
        ),
        (
            np.frompyfunc(lambda a, b, c: a + b + c, 3, 1),
            {},
            (
                "the ufunc <lambda> (vectorized) has 3 inputs and 1 outputs, which does not fit x, t and 0 parameters. "
                "It must have one output, and inputs for x, t if wanted, and each parameter."
            ),
        ),
        *(
            (anything, {name: 1}, f"a parameter cannot be called {name}: that is what the function gets anyway")
            for name in ("t", "k", "delta_t", "row", "random", "out")
        ),
        (lambda x, rate: x * rate, {"rate": "high"}, "parameter rate must be a finite number, not 'high'"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_run(asked: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        function(asked, **parameters)
    assert str(caught.value) == message


def no_return(x: Array) -> None:
    """Forget to return."""
    np.add(x, 1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (no_return, "no_return returned nothing; it must return an array of shape (1,)"),
        (lambda x: x.sum(), "<lambda> returned an array of shape () for rows of shape (1,)"),
        (lambda x: np.ma.masked_less(x, 3), "returned a masked array, and the mask would be lost: return filled(...)"),
        (lambda x: [np.ma.masked] * len(x), "returned a masked array, and the mask would be lost"),
        (lambda x: x[:, None], "<lambda> returned an array of shape (1, 1) for rows of shape (1,)"),
        (lambda x: x[:0], "<lambda> returned an array of shape (0,) for rows of shape (1,)"),
        (lambda x: np.stack([x, x]), "<lambda> returned an array of shape (2, 1) for rows of shape (1,)"),
        (lambda x: x * (1 // len(x[1:])), "by zero"),
    ],
)
@pytest.mark.parametrize("kind", ["map", "step"])
def test_what_goes_wrong_in_the_first_row_is_told_before_the_run(asked: Any, message: str, kind: Any) -> None:
    text = failure(function(asked, kind=kind))
    assert text.startswith(f"the kernel {asked.__name__} failed for the first row, of float64")
    assert message in text


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            lambda x, row: x if len(x) == 1 and row[0] == 0 else x[1:],
            "<lambda> returned an array of shape (2,) for rows of shape (3,)",
        ),
        (lambda x: x if len(x) == 1 else None, "<lambda> returned nothing; it must return an array of shape (3,)"),
    ],
)
def test_what_goes_wrong_in_a_later_block_is_told_with_its_place(asked: Any, message: str) -> None:
    text = failure(asked)
    assert "the kernel <lambda> failed on rank 0 of 1" in text
    assert "at step 0, t = 1.0, rows 0–2" in text
    assert message in text


@pytest.mark.parametrize("kind", ["map", "step"])
def test_another_dtype_in_a_later_step_is_an_error_with_both(kind: Any) -> None:
    text = failure(function(lambda x, k: x if k == 0 else x.astype(np.float32), kind=kind))
    assert f"at step {'1, t = 1.5' if kind == 'map' else '2, t = 2.0 (from step 1, t = 1.5)'}, rows 0–2" in text
    assert "<lambda> gives float32 here, but gave float64 for the first row" in text


def test_another_dtype_in_a_later_block_is_an_error_with_both() -> None:
    text = failure(lambda x, row: x.astype(np.complex128) if row[0] == 3 else x)
    assert "at step 0, t = 1.0, rows 3–5" in text
    assert "<lambda> gives complex128 here, but gave float64 for the first row" in text


def test_a_step_function_that_does_not_keep_the_dtype_of_the_state_is_refused() -> None:
    def grows(x: Array) -> Array:
        return x.astype({"float32": np.float64, "float64": np.longdouble}[x.dtype.name])

    text = failure(function(grows, kind="step"), np.zeros(3, np.float32))
    assert "grows gives float128 for a state of float64: a step must keep the dtype" in text


@pytest.mark.parametrize("asked", [lambda x: x.astype("U"), np.frompyfunc(lambda x: x, 1, 1)], ids=["text", "objects"])
def test_what_is_no_number_is_refused(asked: Any) -> None:
    assert failure(asked).count("it must be a numeric or complex dtype") == 1


def test_what_is_returned_beside_out_must_have_its_dtype() -> None:
    """A function that takes out and returns something else of another dtype is told so."""

    def single(x: Array, out: Array) -> Array:
        assert out.dtype == x.dtype
        return x.astype(np.float32)

    text = failure(function(single))
    assert "single gives float32 here, but gave float64 for the first row" in text


@pytest.mark.parametrize("initial", [X, X.astype(">f8"), np.repeat(X, 2)[::2], np.asfortranarray(np.ones((4, 3)))])
def test_the_rows_cannot_be_written_to_whatever_their_layout(initial: Array) -> None:
    def spoils(x: Array) -> Array:
        x += 1
        return x

    before = initial.tobytes()
    assert "read-only" in failure(function(spoils), initial)
    assert "read-only" in failure(function(spoils, kind="step"), initial)
    assert initial.tobytes() == before


def test_parameters_by_row_cannot_be_written_to() -> None:
    def spoils(x: Array, rate: Array) -> Array:
        rate *= 2
        return x * rate

    for rate in (np.ones(7), np.ones(7, ">f4"), np.ones(14)[::2]):
        assert "read-only" in failure(function(spoils, rate=rate))
        assert rate.tolist() == [1] * 7


def test_a_function_may_return_the_rows_themselves() -> None:
    assert history(lambda x: x).tolist() == [X.tolist()] * 3
    assert history(function(lambda x: x, kind="step")).tolist() == [X.tolist()] * 3


@pytest.mark.parametrize("kernel", [lambda x, t: x * t, function(lambda x, rate: x * rate, rate=np.zeros(0))])
def test_no_rows_are_fine(kernel: Any) -> None:
    assert history(kernel, np.zeros(0)).shape == (3, 0)


def test_a_kernel_is_a_kernel_whatever_made_it() -> None:
    assert isinstance(kernels.function(np.sqrt), kernels.Kernel)


def along_components(x: Array, beta: Array) -> Array:
    return np.stack([beta * x[:, 0], x[:, 1], x[:, 2]], axis=1)


@pytest.mark.parametrize(
    ("kernel", "shape", "rate", "told"),
    [
        (lambda x, beta: beta * x[:, 0], (10, 3), (10,), "x (2, 3), beta (2, 1)"),
        (along_components, (10, 3), (10,), "x (2, 3), beta (2, 1)"),
        (lambda x, beta: (x[:, 0] * beta)[:, None] + x, (2, 3, 7), (2,), "x (2, 3, 7), beta (2, 1, 1)"),
        (lambda x, beta: x + beta[:, 0], (5, 3), (5, 3), "x (2, 3), beta (2, 3)"),
    ],
)
def test_shapes_that_do_not_fit_are_found_by_two_rows_and_named(
    kernel: Any, shape: tuple[int, ...], rate: tuple[int, ...], told: str
) -> None:
    for kind in ("map", "step"):
        text = failure(function(kernel, kind=kind, beta=np.ones(rate)), np.ones(shape))
        assert "failed for the first two rows, of float64" in text
        assert f"the shapes are {told}: a parameter by row has an axis for each axis of x; beside a component" in text
        assert "write beta[:, 0]" in text


def test_shapes_that_differ_in_a_later_step_are_named_too() -> None:
    def late(x: Array, k: int, beta: Array) -> Array:
        return x if k < 2 else x[: len(x) - 1] + beta

    assert "the shapes are x (3,), beta (3,)" in failure(function(late, beta=np.ones(7)))


def test_without_parameters_by_row_one_row_is_tried_and_no_shape_is_told() -> None:
    seen = []

    def short(x: Array, rate: float) -> Array:
        seen.append(len(x))
        return x[:0] * rate

    text = failure(function(short, rate=2.0))
    assert seen == [1]
    assert text.count("shape") == 2
    assert "the shapes are" not in text
