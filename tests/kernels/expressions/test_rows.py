"""Initial rows that each rank computes."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, kernels
from simsplit.kernels.expressions.rows import ExpressionRows
from simsplit.problem import RowSource


def make(text: str, rows: int = 10, dtype: str = "f8") -> ExpressionRows:
    return ExpressionRows(text, (rows,), np.dtype(dtype))


def test_any_run_of_rows_has_the_values_of_the_whole() -> None:
    source = make("sin(row / rows) + where(row > 3, 1, 0)", 1001)
    row = np.arange(1001)
    whole = np.sin(row / 1001) + np.where(row > 3, 1, 0)
    assert isinstance(pickle.loads(pickle.dumps(source)), RowSource)  # noqa: S301, our own
    assert (source.ndim, len(source)) == (1, 1001)
    for lower, upper in ((0, 1001), (0, 0), (17, 18), (500, 1001)):
        assert source.rows(lower, upper).tobytes() == whole[lower:upper].tobytes()
        assert source[lower:upper].tobytes() == whole[lower:upper].tobytes()


@pytest.mark.parametrize(("text", "dtype", "expected"), [("300", "f4", 300.0), ("0.5", "f8", 0.5), ("1", "?", True)])
def test_a_number_fills_the_array(text: str, dtype: str, expected: Any) -> None:
    found = make(text, 3, dtype).rows(0, 3)
    assert found.dtype == dtype
    assert found.tolist() == [expected] * 3


@pytest.mark.parametrize(
    ("text", "dtype", "message"),
    [
        ("rwo", "f8", "the name `rwo` is not known. Did you mean `row`"),
        ("x * 2", "f8", "the name `x` is not known"),
        ("row / 3", "i4", "initial 'row / 3' gives float64, which int32 does not hold. Give a dtype."),
        ("row *", "f8", "the expression cannot be used"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, dtype: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make(text, dtype=dtype).rows(0, 4)
    assert message in str(caught.value)


def test_a_problem_takes_it_and_is_saved_with_it(tmp_path: Any) -> None:
    problem = simsplit.Problem(make("row * 0.5", 7), kernels.affine(), delta_t=0.5, steps=3)
    expected = simsplit.run(simsplit.Problem(np.arange(7) * 0.5, kernels.affine(), delta_t=0.5, steps=3), serial=True)
    found = simsplit.run(problem, serial=True, verify=True)
    assert found.history.tobytes() == expected.history.tobytes()
    problem.save(tmp_path / "p.toml")
    assert 'initial = "row * 0.5"' in (tmp_path / "p.toml").read_text()
    again = simsplit.run(simsplit.load(tmp_path / "p.toml"), serial=True)
    assert again.history.tobytes() == expected.history.tobytes()
