"""Who computes, and why, in one process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, Problem, VerificationError, kernels
from simsplit.backends.llvm import object_code as machine_code
from simsplit.engine import backend_selection as backend
from tests.support.blocks import history_of
from tests.support.launching import LIMIT

WITH_LLVM = pytest.mark.skipif(machine_code.missing() is not None, reason="Numba is not installed")


def problem(size: int = 1000, steps: int = 5, **changes: Any) -> Problem:
    settings: dict[str, Any] = {"kernel": kernels.affine(offset=0.1, multiplier=-1.7), "delta_t": 0.3, "steps": steps}
    return Problem(np.arange(float(size)), **{**settings, **changes})


def run(given: Problem, name: Any = "auto", **options: Any) -> simsplit.Result:
    return simsplit.run(given, serial=True, backend=name, **options)


def test_a_small_problem_pays_for_no_compiler() -> None:
    assert run(problem()).backend == "NumPy: too small to pay for a compiler"


def test_a_small_problem_loads_nothing_for_it() -> None:
    code = """
import sys
import simsplit
problem = simsplit.Problem([0.0, 1.0], simsplit.kernels.affine(), delta_t=0.5, steps=2)
simsplit.run(problem, serial=True, verify=True)
print(sorted({"numba", "llvmlite", "simsplit.backends.llvm"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert found.stdout == "[]\n"


def test_numpy_can_be_asked_for() -> None:
    assert run(problem(300_000), "numpy").backend == "NumPy, as asked for"


@WITH_LLVM
def test_compiled_code_gives_the_same_bits() -> None:
    for kernel in (kernels.affine(offset=3), kernels.expression("where(x > 3, x, -x) * t"), kernels.logistic()):
        given = problem(kernel=kernel)
        result = run(given, "numba", verify=True)
        assert result.history is not None
        assert result.history.tobytes() == history_of(given).tobytes()
        assert result.backend == f"numba ({kernel.name}, 40 kB)"


@WITH_LLVM
def test_it_is_taken_by_itself_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "LOADING_AGAIN", 0.0)
    monkeypatch.setattr(backend, "LOADING", 0.0)
    given = problem(200_000)
    result = run(given, verify=True)
    assert result.backend == "numba (affine, 8 MB)"
    assert result.history is not None
    assert result.history.tobytes() == history_of(given).tobytes()


@WITH_LLVM
def test_it_pays_sooner_in_a_process_that_has_used_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "LOADING", 1.0)
    monkeypatch.setattr(backend, "LOADING_AGAIN", 0.0)
    given = problem(200_000)
    run(problem(), "numba")
    assert run(given).backend == "numba (affine, 8 MB)"
    monkeypatch.delitem(sys.modules, "llvmlite")
    assert run(given).backend == "NumPy: too small to pay for a compiler"


@WITH_LLVM
def test_a_large_history_is_written_past_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "STREAM", 1)
    for kernel in (kernels.affine(), kernels.logistic()):
        for keep in ("all", "every:2", "last"):
            result = run(problem(30_001, kernel=kernel, keep=keep), "numba", verify=True)
            assert result.verification is not None
            assert result.verification.identical


@WITH_LLVM
def test_a_last_bit_of_the_library_is_refused_by_auto_and_told_by_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "LOADING_AGAIN", 0.0)
    monkeypatch.setattr(backend, "LOADING", 0.0)
    given = problem(200_000, kernel=kernels.expression("exp(x * 0.0001)"))
    assert run(given).backend == "NumPy: exp may differ in the last bit"
    found = run(given, "numba")
    assert found.backend == "numba (expression, 8 MB; exp of the C library)"
    expected = history_of(given)
    assert found.history is not None
    np.testing.assert_array_max_ulp(found.history, expected, maxulp=4)
    if found.history.tobytes() != expected.tobytes():
        with pytest.raises(VerificationError, match=r"ulp apart.*exp of the C library.*Take auto") as caught:
            run(given, "numba", verify=True)
        assert caught.value.exit_status == 6


@WITH_LLVM
def test_other_bits_are_found_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine where a compiled operation differs from NumPy's, here subtraction from addition."""
    from simsplit.backends.llvm import lowering as operations

    monkeypatch.setattr(backend, "LOADING_AGAIN", 0.0)
    monkeypatch.setattr(backend, "LOADING", 0.0)
    monkeypatch.setitem(operations._ARITHMETIC, "add", "sub")
    reason = "NumPy: the compiled code gives other bits on this machine"
    for kernel in (kernels.affine(offset=3), kernels.expression("x + 1"), kernels.lorenz()):
        initial = np.ones((100_000, 3))
        assert run(Problem(initial, kernel, delta_t=0.5, steps=2)).backend == reason


@WITH_LLVM
@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (kernels.expression("x // 2"), "floor_divide is left to NumPy"),
        (kernels.gbm(), "the kernel gbm is not one that simsplit writes out"),
        (kernels.function(lambda x: x + 1, name="mine"), "the kernel mine is not one that simsplit writes out"),
    ],
)
def test_what_cannot_be_compiled_is_said(kernel: kernels.Kernel, reason: str) -> None:
    assert run(problem(300_000, kernel=kernel)).backend == f"NumPy: {reason}"
    with pytest.raises(InputError) as caught:
        run(problem(kernel=kernel), "numba")
    assert str(caught.value) == (
        f"the backend numba cannot be used: {reason}. Give --backend auto, or a kernel that is built in, "
        "an expression, or a function compiled by numba.njit"
    )


def test_without_numba_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "missing", lambda: "numba is not installed")
    assert run(problem(300_000)).backend == "NumPy: numba is not installed"
    with pytest.raises(InputError) as caught:
        run(problem(), "numba")
    assert str(caught.value) == (
        "the backend numba cannot be used: numba is not installed. Install it with: pip install 'simsplit[fast]'"
    )


@WITH_LLVM
def test_a_compiler_that_fails_leaves_it_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> bytes:
        raise RuntimeError("no such target")

    monkeypatch.setattr(backend, "LOADING_AGAIN", 0.0)
    monkeypatch.setattr(backend, "LOADING", 0.0)
    monkeypatch.setattr(machine_code, "compiled", fail)
    assert run(problem(300_000)).backend == "NumPy: the compiler failed: RuntimeError: no such target"
    with pytest.raises(simsplit.SimsplitError, match="no such target"):
        run(problem(), "numba")


@pytest.mark.parametrize("name", ["", "cuda", None, 3])
def test_another_name_is_refused(name: Any) -> None:
    with pytest.raises(InputError) as caught:
        run(problem(), name)
    assert str(caught.value) == f'backend must be "auto", "numpy" or "numba", not {name!r}'


@WITH_LLVM
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_nan_of_a_bound_is_an_error_where_it_is_to_be_one(name: str) -> None:
    given = Problem(np.arange(4.0), kernels.expression("clip(x, 0/t, 1)"), delta_t=1.0, steps=2)
    history = run(given, name).history
    assert history is not None
    np.testing.assert_array_equal(history, [[np.nan] * 4, [0, 1, 1, 1]])
    given = Problem(np.arange(4.0), kernels.expression("clip(x, 0, 0/(t-1))"), delta_t=1.0, steps=2, nan="error")
    with pytest.raises(simsplit.KernelError, match=r"at step 1, t = 1\.0, rows 0–3") as caught:
        run(given, name)
    assert caught.value.exit_status == 4


def clip_takes_any_number() -> bool:
    """Return whether NumPy's clip takes bounds that the dtype does not hold; NumPy 2.0 does not."""
    try:
        np.clip(np.zeros(1, np.int8), 0, 128)
    except OverflowError:
        return False
    return True


@WITH_LLVM
@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [
        ("x * 0 + k", "map", "at step 128, t = 64.0,"),
        ("x * 0 + k", "step", "at step 129, t = 64.5 (from step 128, t = 64.0),"),
        ("x * 0 + (k + 127)", "map", "at step 1, t = 0.5,"),  # where the check before a run comes, too
        ("x > k * 3", "map", None),  # a comparison takes any number
        ("clip(x, 0, k * 2)", "map", None if clip_takes_any_number() else "at step 64, t = 32.0,"),
    ],
)
def test_a_number_that_leaves_its_dtype_is_an_error_at_its_step(
    text: str, kind: Any, where: str | None, name: str
) -> None:
    initial = np.zeros(5000, np.int8)
    given = Problem(initial, kernels.expression(text, kind=kind), delta_t=0.5, steps=200)
    if where is None:
        history = run(given, name).history
        assert history is not None
        assert history.tobytes() == history_of(given).tobytes()
        return
    with pytest.raises(simsplit.KernelError, match="out of bounds for int8") as caught:
        run(given, name)
    assert where in str(caught.value)


@WITH_LLVM
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_step_that_is_not_computed_fails_nobody(name: str) -> None:
    """The check before a run computes no step that the run does not."""
    given = Problem(np.ones(5, np.uint64), kernels.expression("(-k) + x", kind="step"), delta_t=1.0, steps=2)
    history = run(given, name).history
    assert history is not None
    assert (history == 1).all()


@WITH_LLVM
def test_a_kernel_that_fails_for_a_block_with_nan_is_told_at_its_step() -> None:
    """Only NumPy's part of the work can fail there: compiled code has no such check."""

    class Careful(kernels.Kernel):
        def evaluate(self, x: Any, block: Any, out: Any) -> None:
            if block.k == 3 and np.isnan(x).any():
                raise ValueError("a hole in the data")
            np.add(x, block.t, out=out)

        def trace(self, x: Any, block: Any, dtype: Any) -> Any:
            return x + block.t

    initial = np.ones(50_000)
    initial[40_000] = np.nan
    with pytest.raises(simsplit.KernelError, match=r"at step 3, t = 1\.5, rows 0–49999"):
        run(Problem(initial, Careful(), delta_t=0.5, steps=6), "numba")


@WITH_LLVM
def test_nan_as_an_error_names_step_rows_and_time() -> None:
    initial = np.ones(5000)
    initial[4321] = np.nan
    given = Problem(initial, kernels.affine(), delta_t=0.5, steps=4, start_time=1.0, nan="error")
    with pytest.raises(
        simsplit.KernelError, match=r"(?s)at step 0, t = 1.0, rows 0–4999.* first is row 4321"
    ) as caught:
        run(given, "numba")
    assert caught.value.exit_status == 4
