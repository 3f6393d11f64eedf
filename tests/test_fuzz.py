"""The fuzzer finds nothing in a short time, and would say if there were something."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from simsplit import Problem
from simsplit.backends.llvm.lowering import NodeLowering
from simsplit.kernels import expression
from tests import fuzz
from tests.support.profiles import examples

pytestmark = pytest.mark.slow

CASES = 60


@pytest.fixture(autouse=True, scope="module")
def _kept_apart(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep what is compiled here in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMSPLIT_CACHE_DIR", str(tmp_path_factory.mktemp("code")))
        yield


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@examples(CASES)
@given(seed=st.integers(0, 2**32))
def test_random_kernels_give_the_same_bits_in_all_ways(seed: int) -> None:
    fuzz.tried(random.Random(seed))


def case_of(text: str, initial: Any, ranks: int = 2, **parameters: Any) -> fuzz.Case:
    problem = Problem(initial, expression(text, **parameters), delta_t=0.5, steps=3)
    return fuzz.Case(problem, text, ranks, None)


def test_it_says_what_a_case_was() -> None:
    initial = np.arange(100.0)
    assert fuzz.check(case_of("x * p + t", initial, p=2)) == "compiled"
    assert fuzz.check(case_of("exp(x)", initial)) == "with functions of the C library"
    assert fuzz.check(case_of("x // 2", initial)) == "by NumPy alone"
    assert fuzz.check(case_of("x + 100 * k", np.zeros(9, np.int8))) == "failed at the same step"


@pytest.mark.parametrize("text", ["clip(x, p, 1)", "maximum(x, p)"])
@pytest.mark.parametrize("bound", [np.nan, -0.0])
def test_it_notices_a_lost_nan_and_another_zero(text: str, bound: float, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(text, np.zeros(100), p=np.full(100, bound))
    assert fuzz.check(case) == "compiled"
    monkeypatch.setattr(
        NodeLowering,
        "_extreme",
        lambda values, name, dtype, one, other: values._choose(
            "olt" if name == "minimum" else "ogt", dtype, (other, one), other, one
        ),
    )
    with pytest.raises(AssertionError):
        fuzz.check(case)


def test_the_long_form_counts_and_fails_with_the_seed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz", "--minutes", "0.02", "--first", "7"])
    assert fuzz.main() == 0
    assert capsys.readouterr().out.endswith("; 0 different\n")

    def fail(_: Any) -> Any:
        raise AssertionError("other bits")

    monkeypatch.setattr(fuzz, "check", fail)
    assert fuzz.main() == 1
    assert "--seed 7: AssertionError: other bits" in capsys.readouterr().out
