"""What a problem accepts, and what its messages say."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, Problem, kernels
from simsplit.kernels.registry import BUILT_IN

from .support.arrays import NUMERIC


def make(**changes: Any) -> Problem:
    """Return a problem that is right but for the changes."""
    values: dict[str, Any] = {"initial": [0.0, 1.0], "kernel": kernels.affine(), "delta_t": 0.5, "steps": 5}
    return Problem(**(values | changes))


@pytest.mark.parametrize("dtype", [*NUMERIC, ">f8", ">i4", ">c16"])
def test_an_array_of_any_numeric_dtype_is_kept_as_it_is(dtype: str) -> None:
    array = np.ones((3, 2), dtype, order="F")
    assert make(initial=array).initial is array


def test_a_sequence_becomes_an_array() -> None:
    initial = make(initial=range(7)).initial
    assert initial is not None
    assert initial.dtype.kind == "i"
    np.testing.assert_array_equal(initial, np.arange(7))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1, 1, 1)])
def test_empty_arrays_and_arrays_of_many_axes_are_fine(shape: tuple[int, ...]) -> None:
    initial = make(initial=np.zeros(shape)).initial
    assert initial is not None
    assert initial.shape == shape


def test_the_array_may_be_left_out_away_from_root() -> None:
    assert make(initial=None).initial is None


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        (["a", "b"], "initial must be of a numeric or complex dtype, not <U1"),
        ([None, 1], "initial must be of a numeric or complex dtype, not object"),
        (np.zeros(2, "M8[s]"), "initial must be of a numeric or complex dtype, not datetime64[s]"),
        (
            np.zeros(2, "f8,O"),
            "each field of initial must be of a numeric or complex dtype, not [('f0', '<f8'), ('f1',",
        ),
        (np.zeros(2, []), "each field of initial must be of a numeric or complex dtype, not []"),
        (np.zeros(2, [("a", "f8", (0,))]), "each field of initial must be of a numeric or complex dtype, not [('a',"),
        (3.5, "initial must have an axis 0, which is split, but it is the single value 3.5"),
        (np.zeros((1,) * 64), "initial has 64 axes, those of its fields included: 60 are accepted."),
        (np.zeros((1,) * 60, [("a", "f8", (3,))]), "initial has 61 axes, those of its fields included: 60 are"),
        ([[1, 2], [3]], "initial cannot be made an array: "),
        (
            np.ma.masked_array([1.0, 2.0], [True, False]),
            "initial must be a plain array: a mask would be lost. Use initial.filled(...).",
        ),
        ([np.ma.masked_array([1.0, 2.0], [True, False])] * 2, "initial must be a plain array: a mask would be lost."),
        ([(1.0, np.ma.masked)], "initial must be a plain array: a mask would be lost."),
    ],
    ids=[
        "text",
        "objects",
        "dates",
        "objects in fields",
        "no fields",
        "fields of no values",
        "a single value",
        "too many axes",
        "too many axes in fields",
        "ragged",
        "masked",
        "masked arrays in a list",
        "a masked value in a list",
    ],
)
def test_an_array_that_cannot_be_split_is_refused_by_name(initial: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make(initial=initial)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "name", "kind"), [("x * t", "expression", "map"), ("affine", "affine", "map"), ("sir", "sir", "step")]
)
def test_a_text_is_the_kernel_that_the_command_line_makes_of_it(text: str, name: str, kind: str) -> None:
    kernel = make(kernel=text).kernel
    assert (kernel.name, kernel.kind) == (name, kind)


def test_a_text_that_is_no_kernel_says_what_would_be_one() -> None:
    with pytest.raises(InputError, match=r"there is no kernel 'affin'\. Did you mean affine\?"):
        make(kernel="affin")
    with pytest.raises(InputError, match="the expression cannot be used"):
        make(kernel="x * rate")


@pytest.mark.parametrize("kernel", [None, 3.0], ids=str)
def test_what_is_not_a_kernel_is_refused_by_what_would_be_one(kernel: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(kernel=kernel)
    assert str(caught.value) == f"a kernel must be a function, a ufunc or a Kernel, not {kernel!r}"


@pytest.mark.parametrize("kernel", [kernels.affine, kernels.Affine], ids=lambda kernel: kernel.__name__)
def test_what_makes_kernels_is_not_a_kernel(kernel: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(kernel=kernel)
    name = kernel.__name__
    assert str(caught.value).startswith(f"{name} ")
    assert f"and is none by itself: give an object, with its parameters, such as {name}(" in str(caught.value)


class Forgetful(kernels.Kernel):
    """Leaves out super().__init__()."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def evaluate(self, x: Any, block: kernels.Block, out: Any) -> None:
        """Compute."""
        np.multiply(x, self.rate, out=out)


def test_a_kernel_whose_init_does_not_call_that_of_kernel_is_told_to() -> None:
    with pytest.raises(InputError) as caught:
        make(kernel=Forgetful(0.5))
    assert str(caught.value) == (
        "the kernel Forgetful is not finished: its __init__ must call super().__init__(...) with its parameters by "
        "name, such as super().__init__(rate=rate)"
    )


def test_whole_numbers_in_lists_are_not_rounded() -> None:
    initial = make(initial=[2**64 - 1, 1]).initial
    assert initial is not None
    assert (initial.dtype, initial.tolist()) == (np.uint64, [2**64 - 1, 1])
    with pytest.raises(InputError, match=r"^initial cannot be made an array: float64 would round 90071992547"):
        make(initial=[2**53 + 1, 0.5])


@pytest.mark.parametrize(
    "function", [np.sqrt, np.add, lambda x: x, lambda x, t: x * t], ids=["sqrt", "add", "of x", "of x, t"]
)
def test_a_callable_becomes_a_map_kernel(function: Any) -> None:
    kernel = make(kernel=function).kernel
    assert isinstance(kernel, kernels.Kernel)
    assert kernel.kind == "map"
    assert kernel.name == function.__name__


@pytest.mark.parametrize("kind", ["Map", "", None, 3])
def test_a_kernel_of_no_known_kind_is_refused(kind: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(kernel=kernels.function(np.sqrt, kind=kind))
    assert str(caught.value) == f'the kind of the kernel sqrt must be "map" or "step", not {kind!r}'


@pytest.mark.parametrize("value", [0, 7, 2**64 - 1, np.uint64(5)])
def test_a_seed_is_kept_as_a_plain_integer(value: Any) -> None:
    problem = make(seed=value)
    assert problem.seed == value
    assert type(problem.seed) is int


@pytest.mark.parametrize("value", [-1, 1.5, "1", None, True])
def test_a_seed_that_is_not_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(seed=value)
    assert str(caught.value) == f"seed must be an integer of 0 or more, not {value!r}"


def test_a_seed_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        make(seed=2**64)
    assert str(caught.value) == f"seed must be an integer from 0 to 2^64 - 1, not {2**64}"


@pytest.mark.parametrize("value", ["Error", True, None, "ignore"])
def test_nan_is_allowed_or_an_error_and_nothing_else(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(nan=value)
    assert str(caught.value) == f'nan must be "allow" or "error", not {value!r}'


@pytest.mark.parametrize(
    ("shape", "parameter"),
    [((5,), (5,)), ((5, 3), (5,)), ((5, 3), (5, 1)), ((5, 3), (5, 3)), ((5, 2, 3), (5, 3)), ((5, 2, 3), (5, 2, 1))],
)
def test_a_parameter_by_row_broadcasts_with_the_rows(shape: tuple[int, ...], parameter: tuple[int, ...]) -> None:
    make(initial=np.zeros(shape), kernel=kernels.affine(offset=np.zeros(parameter)))


@pytest.mark.parametrize(
    ("shape", "parameter"),
    [
        ((5,), (4,)),
        ((5,), (5, 1)),
        ((5,), (5, 3)),
        ((5, 3), (3,)),
        ((5, 3), (5, 2)),
        ((5, 3), (5, 1, 3)),
        ((5, 1), (5, 3)),
    ],
)
def test_a_parameter_that_does_not_go_with_the_rows_is_refused(
    shape: tuple[int, ...], parameter: tuple[int, ...]
) -> None:
    kernel = kernels.affine(offset=np.zeros(parameter))
    with pytest.raises(InputError) as caught:
        make(initial=np.zeros(shape), kernel=kernel)
    assert str(caught.value) == (
        f"parameter offset has the shape {parameter}, which does not go with the array's {shape}: it must have "
        f"{shape[0]} rows, each one value or of a shape that broadcasts to {shape[1:]}"
    )
    make(initial=None, kernel=kernel)  # only root's is used


@pytest.mark.parametrize("name", ["delta_t", "start_time"])
@pytest.mark.parametrize("value", [nan, inf, -inf, "0.5", None, True, 10**400], ids=repr)
def test_a_time_that_is_not_finite_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(**{name: value})
    assert str(caught.value) == f"{name} must be a finite real number, not {value!r}"


@pytest.mark.parametrize("value", [-1, 2.5, "5", None, True])
def test_steps_that_are_not_a_whole_number_are_refused(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(steps=value)
    assert str(caught.value) == f"steps must be an integer of 0 or more, not {value!r}"


@pytest.mark.parametrize(
    ("delta_t", "start_time", "steps"),
    [(1e308, 0.0, 3), (1e308, 1e308, 2), (-1e308, -1e308, 2)],
)
def test_a_last_step_beyond_the_range_of_floats_is_refused(delta_t: float, start_time: float, steps: int) -> None:
    with pytest.raises(InputError) as caught:
        make(delta_t=delta_t, start_time=start_time, steps=steps)
    message = str(caught.value)
    assert f"{start_time} + {steps - 1} * {delta_t}, is not finite" in message
    assert message.endswith("Give a smaller delta_t or fewer steps.")


def test_more_steps_than_memory_has_addresses_are_refused() -> None:
    with pytest.raises(InputError, match="steps must be 9,223,372,036,854,775,807 at most, not 10,000"):
        make(delta_t=1e-300, steps=10**400)


def test_the_last_step_may_be_the_greatest_float() -> None:
    assert make(delta_t=1.7976931348623157e308, steps=2).time(1) == 1.7976931348623157e308


@given(start=st.floats(-1e100, 1e100), delta=st.floats(-1e100, 1e100), steps=st.integers(0, 10**6), data=st.data())
def test_time_is_a_product_not_a_running_sum(start: float, delta: float, steps: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, max(0, steps - 1)))
    assert make(start_time=start, delta_t=delta, steps=steps).time(k) == start + k * delta


def test_the_time_of_a_step_does_not_depend_on_the_steps_before() -> None:
    problem = make(delta_t=0.1, steps=11)
    assert problem.time(3) == 3 * 0.1  # the running sum 0.1 + 0.1 + 0.1 is the same here, but not below
    assert problem.time(10) == 1.0
    assert sum([0.1] * 10) != 1.0


@pytest.mark.parametrize(
    ("keep", "steps", "kept"),
    [
        ("all", 4, [0, 1, 2, 3]),
        ("last", 4, [3]),
        ("every:1", 3, [0, 1, 2]),
        ("every:3", 7, [0, 3, 6]),
        ("every:3", 6, [0, 3]),
        ("every:900719925474099267", 5, [0]),
        ("all", 0, []),
        ("last", 0, []),
        ("every:2", 0, []),
    ],
)
def test_the_kept_steps(keep: str, steps: int, kept: list[int]) -> None:
    problem = make(keep=keep, steps=steps)
    assert list(problem.kept) == kept
    assert problem.settings()["keep"] == keep


@pytest.mark.parametrize(
    "keep", ["", "no", "every", "every:", "every:0", "every:-1", "every:1.5", "every:²", "last:", "All", 3, None]
)
def test_what_says_not_which_steps_are_kept_is_refused(keep: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(keep=keep)
    assert str(caught.value) == (
        f'keep must be "all", "last", "none", "last:N" or "every:K" with whole numbers of 1 or more, not {keep!r}'
    )


@pytest.mark.parametrize(
    ("given", "names"),
    [("", ()), ((), ()), ("sum", ("sum",)), ("std, mean", ("mean", "std")), (["max", "min", "max"], ("min", "max"))],
)
def test_reductions_are_named_once_in_one_order(given: Any, names: tuple[str, ...]) -> None:
    assert make(reduce=given).reduce == names
    assert make(reduce=given).settings()["reduce"] == ",".join(names)


@pytest.mark.parametrize(("given", "wrong"), [("median", "median"), ("mean,", ""), (["sum", 3], 3), (5, 5)])
def test_what_is_no_reduction_is_refused(given: Any, wrong: Any) -> None:
    with pytest.raises(InputError) as caught:
        make(reduce=given)
    assert str(caught.value) == (f'reduce must name any of mean, min, max, std, sum, such as "mean,std", not {wrong!r}')


def test_nothing_is_kept_of_a_run_with_reductions_only() -> None:
    assert list(make(keep="none", reduce="mean").kept) == []
    with pytest.raises(InputError, match='keep "none" leaves nothing of a run without reductions'):
        make(keep="none")


@given(word=st.text(max_size=12) | st.from_regex(r"every:[0-9]{1,25}", fullmatch=True))
def test_any_text_is_understood_or_refused(word: str) -> None:
    try:
        kept = make(keep=word, steps=9).kept
    except InputError:
        return
    assert set(kept) <= set(range(9))
    assert word in ("all", "last", "none") or list(kept) == list(range(0, 9, int(word.removeprefix("every:"))))


def test_settings_are_all_but_the_array_as_texts_that_tell_any_two_numbers_apart() -> None:
    problem = make(kernel=kernels.affine(offset=-0.0, multiplier=0.1 + 0.2), start_time=-1, steps=np.int64(4))
    assert problem.settings() == {
        "kernel": "affine",
        "kind of the kernel": "map",
        "source of the kernel": "None",
        "parameter offset": "-0.0",
        "parameter multiplier": "0.30000000000000004",
        "delta_t": "0.5",
        "start_time": "-1.0",
        "steps": "4",
        "seed": "0",
        "nan": "allow",
        "keep": "all",
        "reduce": "",
    }


def test_of_a_parameter_by_row_the_settings_say_no_more_than_that() -> None:
    for value in (np.zeros(2), [1, 2], None):
        assert make(kernel=kernels.affine(offset=value)).settings()["parameter offset"] == "an array"


def test_the_parameters_of_a_kernel_may_be_numbers_of_any_kind() -> None:
    kernel = kernels.Affine(steps=2, factor=np.float32(0.5), turn=1j, flag=True)
    settings = make(kernel=kernel).settings()
    assert settings["steps"] == "5"  # a parameter of the same name hides nothing
    found = [settings[f"parameter {name}"] for name in ("steps", "factor", "turn", "flag")]
    assert found == ["2", "0.5", "1j", "True"]


def test_repr_shows_the_size_of_the_array_but_no_values() -> None:
    assert repr(make(initial=np.zeros((3, 2), np.float32))) == (
        "Problem(initial=<float32 (3, 2)>, kernel=affine, delta_t=0.5, steps=5, start_time=0.0)"
    )
    assert repr(make(initial=None)) == "Problem(initial=None, kernel=affine, delta_t=0.5, steps=5, start_time=0.0)"


def test_a_problem_has_no_room_for_a_misspelt_attribute() -> None:
    with pytest.raises(AttributeError):
        make().delta = 1.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.function(lambda x: x * 2, name="mine"),
        kernels.function(lambda x, row, out: np.add(x, row, out=out), name="mine"),
        kernels.function(np.multiply, name="mine", rate=2.0),
        kernels.expression("x + row * rate", rate=2.0),
    ],
)
def test_a_map_kernel_that_knows_no_time_is_doubted(kernel: kernels.Kernel) -> None:
    problem = Problem(np.arange(3.0), kernel, delta_t=0.5, steps=1000)
    assert problem.doubt == (
        f"all 1,000 steps are the same: the map kernel {kernel.name} asks for neither t, k nor random. "
        'Did you mean --kind step (kind="step")?'
    )
    assert Problem(np.arange(3.0), kernel, delta_t=0.5, steps=1).doubt is None


@pytest.mark.parametrize(
    "kernel",
    [kernels.function(lambda x, delta_t: x * delta_t, name="mine"), kernels.expression("x + delta_t * x * row")],
)
def test_one_that_takes_delta_t_and_not_t_is_doubted_likewise(kernel: kernels.Kernel) -> None:
    doubt = Problem(np.arange(3.0), kernel, delta_t=0.5, steps=5).doubt
    assert doubt is not None
    assert f"the map kernel {kernel.name} asks for delta_t, but for neither t, k nor random. Did you mean" in doubt


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.function(lambda x, t: x * t),
        kernels.function(lambda x, k: x * k),
        kernels.function(lambda x, random: x + random.normal()),
        kernels.function(np.multiply),  # whose second input is t
        kernels.function(lambda x: x * 2, kind="step"),
        kernels.expression("x * k"),
        kernels.expression("x * 2", kind="step"),
        *(getattr(kernels, name)() for name in BUILT_IN),
    ],
)
def test_no_other_kernel_is_doubted(kernel: kernels.Kernel) -> None:
    assert Problem(None, kernel, delta_t=0.5, steps=5).doubt is None
