"""The language of expressions: the bits of NumPy, and a marked column for everything else."""

from __future__ import annotations

import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from math import inf, nan, pi
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from simsplit.errors import InputError
from simsplit.kernels.expressions.language import Expression
from tests.support.profiles import examples

NAMES = ("x", "t", "k", "row", "delta_t", "offset", "multiplier", "größe")


def words(text: str) -> list[str]:
    return text.split()


ONE = words(
    "abs sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh "
    "arctanh floor ceil trunc rint sign square conj real imag isnan isfinite isinf"
)
TWO = words("minimum maximum arctan2 hypot fmod copysign power")
THREE = ["where", "clip"]
DTYPES = ("float32", "float64", "complex128", "int64")
KNOWN = "Known here: delta_t, größe, k, multiplier, offset, row, t, x"
ACCEPTED = "Accepted are numbers, names, + - * / // % **"


def test_threads_that_parse_leave_the_warnings_of_others_alone() -> None:
    over = threading.Event()

    def parse() -> None:
        for number in range(3000):
            Expression(f"x + {number}", ["x"])

    def warn() -> int:
        count = 0
        while not over.is_set() or count < 100:
            warnings.warn("of another", RuntimeWarning, stacklevel=1)
            count += 1
        return count

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as threads:
            warning = threads.submit(warn)
            for each in [threads.submit(parse) for _ in range(3)]:
                each.result()
            over.set()
            assert warning.result() >= 100
        assert warnings.filters == before


def evaluate(text: str, **values: Any) -> Any:
    return Expression(text, list(values)).evaluate(values)


def refused(text: str, names: Any = NAMES) -> tuple[str, str, int]:
    """Return the message of a refusal, the text that it shows and the column that it marks."""
    with pytest.raises(InputError) as caught:
        Expression(text, names)
    problem, shown, caret = str(caught.value).split("\n")
    assert problem.startswith("the expression cannot be used: ")
    assert caret.strip() == "^"
    assert shown[:2] == "  "
    return problem, shown[2:], len(caret) - 3


def same(found: Any, expected: Any) -> None:
    """Assert the same dtype, shape and bits."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def values_of(dtype: str) -> np.ndarray[Any, Any]:
    values = np.random.default_rng(1).normal(size=41) * 3
    if dtype == "int64":
        return np.arange(-20, 21)
    if dtype == "complex128":
        return values + 1j * values[::-1]
    with np.errstate(over="ignore"):
        return np.concatenate([values, [0.0, -0.0, inf, -inf, nan, 1.0, 1e-300, 1e300]]).astype(dtype)


REFUSALS = [
    # what was meant as something else
    ("(offst + x) * t", 1, f"the name `offst` is not known. Did you mean `offset`? {KNOWN}"),
    ("x + y", 4, f"the name `y` is not known. {KNOWN}"),
    ("2 * pie", 4, "Did you mean `pi`?"),
    ("größe * grösse", 8, "Did you mean `größe`?"),
    ("größe + größe * y", 16, "the name `y` is not known"),
    ("sine(x)", 0, "the function `sine` is not known. Did you mean `sin`? Known here: abs, arccos, arccosh"),
    ("1 + max(x, 1)", 4, "the function `max` is not known. Did you mean `maximum`?"),
    ("asin(x)", 0, "Did you mean `arcsin`?"),
    ("ln(x)", 0, "Did you mean `log`?"),
    ("t * sin", 4, "`sin` is a function. Write `sin(...)`"),
    ("x(2)", 0, "this is not a function. Write * to multiply"),
    ("pi(2)", 0, "this is not a function. Write * to multiply"),
    ("1 + 2(x)", 4, "this is not a function. Write * to multiply"),
    ("sin(x)(t)", 0, "this is not a function. Write * to multiply"),
    ("x ^ 2", 2, "`^` is not accepted. A power is written **"),
    ("x & t", 2, "`&` is not accepted. Write `and`"),
    ("x | t", 2, "`|` is not accepted. Write `or`"),
    ("~x", 0, "`~` is not accepted. Write `not`"),
    ("!x", 0, "`!` is not accepted. Write `not`"),
    ("x = 3", 2, "`=` is not accepted. Write == to compare"),
    ("where(x > 0, x, y=t)", 17, "the arguments of a function have no names"),
    ("2 + sin(x, t)", 4, "`sin` takes 1 argument, not 2"),
    ("where(x > 0)", 0, "`where` takes 3 arguments, not 1"),
    ("hypot()", 0, "`hypot` takes 2 arguments, not 0"),
    # what Python has and the language has not
    ("x + np.sin(x)", 6, "the attribute `.sin` is not accepted. Write `sin` without a prefix"),
    ("np.pi * x", 2, "the attribute `.pi` is not accepted. Write `pi` without a prefix"),
    ("x.__class__", 1, f"the attribute `.__class__` is not accepted. {ACCEPTED}"),
    ("(x) . T", 4, "the attribute `.T` is not accepted"),
    ("größe.real", 5, "Write `real` without a prefix"),
    ("__import__(x)", 0, "the function `__import__` is not known."),
    ("__import__('os').system('ls')", 11, f"`'` is not accepted. {ACCEPTED}"),
    ("eval(x)", 0, "the function `eval` is not known."),
    ("__builtins__", 0, "the name `__builtins__` is not known."),
    ("x[0.5]", 2, "this is no whole number. A neighbour is named by whole numbers, such as x[-1] or x[0, 1]"),
    ("x[t]", 2, "this is no whole number"),
    ("x[1:2]", None, "`:` is not accepted"),
    ("x[1, -k]", 5, "this is no whole number"),
    ("x[]", None, "invalid syntax"),
    ("x[()]", 0, "nothing stands in the brackets"),
    ("x[-65]", 2, "a neighbour lies 64 cells away at most"),
    ("2[1]", 0, "a number has no neighbours"),
    ("x[1", 1, "this bracket is never closed"),
    ("laplace", 0, "`laplace` is a function. Write `laplace(...)`"),
    ("laplace(x, t)", 0, "`laplace` takes 1 argument, not 2"),
    ("div(x)", 0, "`div` takes 2 arguments, not 1"),
    ("laplce(x)", 0, "the function `laplce` is not known. Did you mean `laplace`?"),
    ("x.normal()", 1, "the attribute `.normal` is not accepted"),
    ("[x]", 0, "a list is not accepted"),
    ("{x}", 0, "`{` is not accepted"),
    ('x + "a"', 4, '`"` is not accepted'),
    ("b'a'", 1, "`'` is not accepted"),
    ("f'{x}'", 1, "`'` is not accepted"),
    ("lambda: x", 6, "`:` is not accepted"),
    ("(x := 2)", 3, "`:` is not accepted"),
    ("x; t", 1, "`;` is not accepted"),
    ("x # and more", 2, "`#` is not accepted"),
    ("x \\\n + t", 2, "`\\` is not accepted"),
    ("x @ t", 2, "`@` is not accepted"),
    ("x + (x for x in t)", 4, "a comprehension is not accepted"),
    ("where(*x)", 6, "an argument with a star is not accepted"),
    ("where(x, **x)", 9, "an argument with stars is not accepted"),
    ("x, t", 0, "a comma outside the brackets of a function is not accepted"),
    ("(x) << -1", 4, "`<<` is not accepted"),
    ("x >> 1", 2, "`>>` is not accepted"),
    ("x is t", 2, "`is` is not accepted"),
    ("(x)not in t", 3, "`not` is not accepted"),
    ("x < t in k", 6, "`in` is not accepted"),
    ("1 + (yield)", 5, "this is not accepted"),
    ("await x", 0, "this is not accepted"),
    ("x + True", 4, "`True` is not accepted"),
    ("None", 0, "`None` is not accepted"),
    ("x + ...", 4, "`Ellipsis` is not accepted"),
    # what is no expression at all
    ("", 0, "it is empty"),
    (" \n\t", 0, "it is empty"),
    ("(x + (t)", 0, "this bracket is never closed"),
    ("x + t) * 2", 5, "this bracket closes nothing"),
    ("größe t x", 6, f"invalid syntax. {ACCEPTED}"),
    ("x <> 1", 2, "invalid syntax"),
    ("1if x else 2", 0, "invalid decimal literal"),
    ("x\0", 1, "`U+0000` is not accepted"),
    ("x + \ud800", 4, "`U+D800` is not accepted"),
    ("x \u2212 1", 2, "`\u2212` is not accepted"),
    ("x²", 1, "invalid character"),
    # what is too large
    ("9**9**9", 1, "a power of constants within another is not accepted. Write its value"),
    ("x * (9 ** 9) ** 9", 13, "a power of constants within another"),
    ("x + 2 ** (1 + abs(2 ** 3))", 6, "a power of constants within another"),
    ("power(9, power(9, 9))", 0, "a power of constants within another"),
    ("x + 2 ** 1001", 6, "an exponent of a constant lies from -1000 to 1000"),
    ("2 ** -1001", 2, "an exponent of a constant lies from -1000 to 1000"),
    ("x * 9 ** (9 * 112)", 6, "an exponent of a constant"),
    ("2.5 ** inf", 4, "an exponent of a constant"),
    ("2.5 ** nan", 4, "an exponent of a constant"),
    ("power(2, 1e9)", 0, "an exponent of a constant"),
    ("x + 9007199254740993", 4, "this integer is beyond 2**53"),
    ("-0x20000000000001", 1, "this integer is beyond 2**53"),
    ("x * 1e999", 4, "this number is too large for a float64"),
    ("1e999j", 0, "this number is too large for a float64"),
    ("x + 1 // 1j", 4, "NumPy cannot compute this (ufunc 'floor_divide' not supported"),
    ("power(2, -1)", 0, "NumPy cannot compute this (Integers to negative integer powers are not allowed.)"),
    ("(" * 101 + "x" + ")" * 101, None, "it is nested deeper than 100"),
    ("x ** " * 100 + "x", None, "it is nested deeper than 100"),
    ("-" * 100 + "x", None, "it is nested deeper than 100"),
    ("x if t else " * 100 + "x", None, "it is nested deeper than 100"),
    ("-" * 9000 + "x", 0, "it has too many operators within operators. Shorten it"),
    ("x+" * 4999 + "x", 0, "it has too many operators within operators. Shorten it"),
    ("x+" * 5000 + "x", None, "it has 10,001 characters, and 10,000 is the limit"),
]


@pytest.mark.parametrize(("text", "column", "problem"), REFUSALS)
def test_what_is_not_in_the_language_is_refused_and_marked(text: str, column: int | None, problem: str) -> None:
    message, shown, marked = refused(text)
    assert problem in message
    if column is not None:
        assert marked == column
        assert shown[:10] == text.strip().translate(dict.fromkeys(map(ord, "\0\ud800"), "?")).replace("\n", " ")[:10]


def test_the_whole_message() -> None:
    with pytest.raises(InputError) as caught:
        Expression("(offst + x) * t", ["x", "t", "k", "row", "delta_t", "offset"])
    assert str(caught.value) == (
        "the expression cannot be used: the name `offst` is not known. Did you mean `offset`? "
        "Known here: delta_t, k, offset, row, t, x\n"
        "  (offst + x) * t\n"
        "   ^"
    )


@pytest.mark.parametrize("before", [0, 10, 60, 1000])
@pytest.mark.parametrize("after", [0, 10, 60, 1000])
def test_a_long_text_is_shown_around_the_column(before: int, after: int) -> None:
    _, shown, column = refused("x + " * before + "wrong" + " + x" * after)
    assert shown[column : column + 5] == "wrong"[: len(shown) - column]
    length, at = 4 * (before + after) + 5, 4 * before
    assert shown.startswith("…") is (length > 72 and at > 36)
    assert shown.endswith("…") is (length > 72 and length - at > 36)
    assert len(shown.strip("…")) == min(length, 72)


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    assert refused("宽 * y", ["宽"])[2] == len("宽 * ") + 1
    assert refused("gro\u0308ße * y")[0].endswith("row, t, x")
    assert refused("größe * y".replace("ö", "o\u0308"))[2] == len("größe * ")


@pytest.mark.parametrize("name", ["", "a b", "1a", "if", "True", "__x__", "x.y", "sin", "pi", "e"])
def test_names_that_cannot_be_variables(name: str) -> None:
    with pytest.raises(InputError, match="cannot be"):
        Expression("x", ["x", name])


def test_names_that_python_writes_in_another_way() -> None:
    found = Expression("\N{MICRO SIGN} * 2", ["\N{MICRO SIGN}"])
    assert found.names == {"\N{MICRO SIGN}"}
    assert found.evaluate({"\N{MICRO SIGN}": 2}) == 4


def test_text_and_names() -> None:
    found = Expression("  (offset + x *\n\tmultiplier) * t ", NAMES)
    assert found.text == "(offset + x *  multiplier) * t"
    assert found.names == {"offset", "x", "multiplier", "t"}
    assert Expression("2 * pi", NAMES).names == frozenset()
    with pytest.raises(KeyError, match="offset"):
        found.evaluate({"x": 1, "t": 1, "multiplier": 1})


def test_an_expression_can_be_pickled() -> None:
    text = "where(1 < x < 2 or not x == 3 and t, -x ** 2 % 3, sin(x)) if t else conj(x)"
    x = values_of("float64")
    with np.errstate(all="ignore"):
        expected = Expression(text, NAMES).evaluate({"x": x, "t": 0.5})
        same(pickle.loads(pickle.dumps(Expression(text, NAMES))).evaluate({"x": x, "t": 0.5}), expected)  # noqa: S301


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ONE, *TWO, *THREE])
def test_functions_give_the_bits_of_numpy(name: str, dtype: str) -> None:
    x = values_of(dtype)
    arity = 1 if name in ONE else 2 if name in TWO else 3
    for values in ((x, x[::-1], x + 2), (x, 2, 3.0), (x, 2.5, np.float64(3))):
        names, arguments = ("x", "k", "t")[:arity], values[:arity]
        found = Expression(f"{name}({', '.join(names)})", NAMES)
        with np.errstate(all="ignore"):
            try:
                expected = getattr(np, name)(*arguments)
            except (TypeError, ValueError) as error:  # np.floor of complex numbers, 2 to the power of -1
                with pytest.raises(type(error)):
                    found.evaluate(dict(zip(names, arguments, strict=True)))
            else:
                same(found.evaluate(dict(zip(names, arguments, strict=True))), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_affine_kernel_as_an_expression(dtype: str) -> None:
    x = values_of(dtype)
    with np.errstate(all="ignore"):
        same(
            evaluate("(offset + x * multiplier) * t", x=x, t=0.1, offset=3.7, multiplier=1e-3),
            (3.7 + x * 1e-3) * 0.1,
        )


@pytest.mark.parametrize(
    "text",
    [
        "x * 3.0",
        "2 * pi * x",
        "x ** (1 / 3)",
        "x * (1 / t)",
        "x * (t // 0)",
        "x / 3 ** k",
        "x * 2 ** 1000 / 2 ** 999",
        "x * -(-8.0) ** 0.5",
        "x + (1 if t < 2 else 2.5)",
        "x + (not t) + (0 < t < 1 and k)",
        "x if x > 0 else -1",
        "where(x > 0, x, 0.0)",
        "clip(x, 0, 1.5)",
        "minimum(x, 2)",
    ],
)
def test_python_numbers_do_not_widen_arrays(text: str) -> None:
    with np.errstate(all="ignore"):
        assert evaluate(text, x=np.ones(3, np.float32), t=0.5, k=2).dtype == np.float32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0", inf),
        ("-1 / 0", -inf),
        ("0 / 0", nan),
        ("1 // 0", inf),
        ("5 % 0", nan),
        ("0 ** -1", inf),
        ("0.0 ** -1", inf),
        ("1e300 ** 2", inf),
        ("10 ** 1000", inf),
        ("(-8) ** (1 / 3)", nan),
        ("(1 + 1j) ** 2", (1 + 1j) ** 2),
        ("1j < 2", True),
        ("2 ** -1", 0.5),
        ("2 ** 62", 2**62),
        ("2 ** 63", 2.0**63),
        ("9007199254740992 * 9007199254740992", 2.0**106),
        ("(-1) ** 999", -1),
        ("k ** k ** k", inf),
        ("(-1) ** (k * 5 + 1)", -1),
        ("k * k // k % 7", 1000 % 7),
        ("t / (t - t)", inf),
        ("not 0", True),
        ("2 and 3", True),
        ("0 or 0.0", False),
        ("1 if 0 else 2.5", 2.5),
        ("1 if 1 else 2.5", 1.0),
        ("3 < 5 < 4", False),
        ("-2 ** 2", -4),
        ("0x10 + 1_000", 1016),
        ("e - e + pi", pi),
    ],
)
def test_python_numbers_give_python_numbers_and_no_errors(text: str, expected: Any) -> None:
    found = evaluate(text, k=1000, t=0.5)
    assert type(found) is type(expected)
    assert found == expected or (found != found and expected != expected)  # noqa: PLR0124, nan


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("bound", ["float32", "float64"])
@pytest.mark.parametrize(
    "text",
    [
        "clip(x, p, 1.0)",
        "clip(x, -1.0, p)",
        "clip(x, p, p)",
        "clip(-x, x, p + 1)",
        "clip(x, -x, clip(1.0, p + 5, 300))",
    ],
)
def test_clip_gives_the_same_zero_in_any_run_of_rows(text: str, dtype: str, bound: str) -> None:
    """`np.clip` gives another one in one row than in three, if its bounds are broadcast or converted."""
    expression = Expression(text, ["x", "p"])
    for shape, its in (((9,), (9,)), ((9, 3), (9, 1)), ((9, 1), (9, 1)), ((9, 3), (9, 3))):
        x, bounds = np.full(shape, -0.0, dtype), np.zeros(its, bound)
        whole = expression.evaluate({"x": x, "p": bounds})
        for rows in (slice(0, 1), slice(1, 3), slice(3, 6), slice(2, 9)):
            part = expression.evaluate({"x": x[rows], "p": bounds[rows]})
            assert part.tobytes() == whole[rows].tobytes()


@pytest.mark.parametrize("text", ["x ** p", "power(x, p)", "(x * 1.5) ** (p + 0)", "x ** -p"])
def test_a_power_gives_the_same_bits_in_any_run_of_rows(text: str) -> None:
    """`np.power` takes the square root where a constant is 0.5, also if it is constant for want of other rows."""
    rng, expression = np.random.default_rng(3), Expression(text, ["x", "p"])
    for shape, its in (((12,), (12,)), ((12, 18), (12, 1)), ((12, 3, 9), (12, 1, 1)), ((12, 1), (12, 1))):
        for dtype in ("float64", "float32", "int64"):
            x = rng.integers(1, 2**62, shape).astype(dtype)
            x.reshape(-1)[::5] = -0.0
            bounds = np.resize([-1.0, 0.5, 2.0, 1.0, 3.0], its)
            with np.errstate(all="ignore"):
                whole = expression.evaluate({"x": x, "p": bounds})
                for rows in (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 12)):
                    part = expression.evaluate({"x": x[rows], "p": bounds[rows]})
                    assert part.tobytes() == whole[rows].tobytes()


def test_logic_is_elementwise() -> None:
    x = np.array([-1.0, 0.0, 1.0, 2.0, nan])
    same(evaluate("0 <= x < 2", x=x), [False, True, True, False, False])
    same(evaluate("-1 < x < 2 != x", x=x), [False, True, True, False, False])
    same(evaluate("x < 0 or x > 1 and x", x=x), [True, False, False, True, False])
    same(evaluate("not x", x=x), [False, True, False, False, False])
    same(evaluate("x and 1 and x - 1", x=x), [True, False, False, True, True])
    same(evaluate("-x if x < 0 else x if x > 1 else 7", x=x), [1.0, 7.0, 7.0, 2.0, 7.0])


def test_long_chains_are_no_nesting() -> None:
    x = np.arange(3.0)
    same(evaluate("x" + " + x" * 800, x=x), 801 * x)
    same(evaluate("x" + " - 1" * 800, x=x), x - 800)
    same(evaluate("x >= 0" + " and x >= 0" * 800, x=x), [True] * 3)
    same(evaluate("0" + " <= x" * 800, x=x), [True] * 3)
    same(evaluate("(" * 100 + "x" + ")" * 100, x=x), x)
    same(evaluate("abs(" * 99 + "x" + ")" * 99, x=x), x)


LEAVES = st.sampled_from(words("x x x 2 3 7 0.5 2.5 1e-3 pi e t k")).map(lambda leaf: (leaf, leaf))


def grown(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """Return texts in the language, without more brackets than there are, each with the same in NumPy."""
    alike = ["{} + {}", "{} - {}", "{} * {}", "{} / {}", "{} // {}", "{} % {}", "({})", "-{}", "+{}", "{} ** 2", "- {}"]
    alike += [
        "sin({})",
        "floor({})",
        "hypot({}, {})",
        "maximum({}, {})",
        "({} < {})",
        "(({}) != ({}))",
        "abs({}) ** 0.5",
    ]
    alike += ["{} ** -x", "where(x > {}, {}, {})", "clip({}, -1, 2.5)", "isfinite({})", "{} - {} - {}", "{} / {} * {}"]
    forms = [(form, form) for form in alike] + [
        ("({} < x <= {})", "logical_and({} < x, x <= {})"),
        ("(x and {})", "logical_and(x, {})"),
        ("(not x * ({}) or {})", "logical_or(logical_not(x * ({})), {})"),
        ("(x + {} if x > {} else {})", "where(x > {1}, x + {0}, {2})"),
    ]

    def fill(form: tuple[str, str], parts: list[tuple[str, str]]) -> tuple[str, str]:
        ours, theirs = zip(*parts, strict=True)
        return form[0].format(*ours), form[1].format(*theirs)

    return st.builds(fill, st.sampled_from(forms), st.lists(inner, min_size=3, max_size=3))


@examples(1000)
@example(texts=("+(x < x <= x)", "+logical_and(x < x, x <= x)"), dtype="float32")  # NumPy 2.0 warns of it, and imports
@given(texts=st.recursive(LEAVES, grown, max_leaves=12), dtype=st.sampled_from(DTYPES))
@example(texts=("x ** 2 ** 0.5", "x ** 2 ** 0.5"), dtype="float32")
@example(texts=("-x ** -x % 3 // 2 - 1", "-x ** -x % 3 // 2 - 1"), dtype="float64")
@example(texts=("2 - 3 - x * t / k / x", "2 - 3 - x * t / k / x"), dtype="float32")
def test_the_same_bits_as_python_evaluating_numpy(texts: tuple[str, str], dtype: str) -> None:
    ours, theirs = texts
    values = {"x": values_of(dtype), "t": 0.1, "k": 3}
    numpy = {name: getattr(np, name) for name in [*ONE, *TWO, *THREE, "pi", "e", "logical_and", "logical_or"]}
    numpy["logical_not"] = np.logical_not
    with np.errstate(all="ignore"):
        try:
            expected = eval(theirs, {"__builtins__": {"__import__": __import__}}, numpy | values)  # noqa: S307, a text of this test
        except (ZeroDivisionError, OverflowError):
            assume(False)  # of Python numbers: another test's
        except (TypeError, ValueError) as error:
            with pytest.raises((type(error), InputError)):
                Expression(ours, values).evaluate(values)
            return
        try:
            found = Expression(ours, values)
        except InputError as error:
            assert "power of constants" in str(error) or "exponent of a constant" in str(error)  # noqa: PT017
            return
        same(found.evaluate(values), expected)


PIECES = words("( ) x t 1 2.5 9 9**9** 1e9 ** * / // % + - ~ < <= == = != , . : ; 'a' [ ] { } é 宽 # \\ \0 \ud800 @ !")
PIECES += words("sin( where( power( x. __class__ *x **x 0x 1_ 1j e inf nan := None f'")
PIECES += ["\n", " if ", " else ", " and ", " or ", "not ", " in ", " is ", "lambda ", " for ", "yield ", "await "]


def only_refused(text: str) -> None:
    try:
        Expression(text, NAMES)
    except InputError as error:
        problem, shown, caret = str(error).split("\n")
        assert problem
        assert len(shown) <= 76
        assert caret.endswith("^")


@examples(1000)
@given(text=st.text() | st.text("()x1.,+-*/ <=", max_size=60) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    only_refused(text)


@examples(500)
@given(
    head=st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join),
    middle=st.lists(st.sampled_from(PIECES), max_size=3).map("".join),
    tail=st.lists(st.sampled_from(PIECES), max_size=2).map("".join),
    times=st.sampled_from([2, 50, 99, 101, 500, 1500, 3300, 100_000]),
)
@example(head="-", middle="x", tail="", times=9_999)
@example(head="not ", middle="x", tail="", times=2_400)
@example(head="9**", middle="9", tail="", times=3_000)
@example(head="9*", middle="9", tail="", times=2_900)
@example(head="where(x,t,", middle="x y", tail=")", times=99)
@example(head="(x if ", middle="x y", tail=" else x)", times=99)
@example(head="(x for x in ", middle="x y", tail=")", times=99)
@example(head="(", middle="", tail="", times=100_000)
def test_repeated_garbage_is_refused_quickly(head: str, middle: str, tail: str, times: int) -> None:
    only_refused(head * times + middle + tail * times)


@pytest.mark.parametrize("spare", [60, 100, 200, 400])
def test_a_deep_stack_of_the_caller_lets_no_recursion_error_out(spare: int) -> None:
    import sys

    def descend(frames: int) -> None:
        if frames:
            descend(frames - 1)
        else:
            only_refused("-" * 95 + "x")

    here, frame = 0, sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        here += 1
    descend(sys.getrecursionlimit() - here - spare)
