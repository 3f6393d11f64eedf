"""The main job by remote objects: the same bits as the collective way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import remote
from simsplit.errors import InputError, KernelError
from simsplit.remote.simulation import Calculator, simulate

pytestmark = pytest.mark.timeout(30)


def problem(initial: Any = None, steps: int = 5, **parameters: float) -> simsplit.Problem:
    array = np.arange(7.0) if initial is None else initial
    kernel = simsplit.kernels.affine(**parameters)
    return simsplit.Problem(array, kernel, delta_t=0.5, steps=steps, start_time=0.1)


def by_remote_objects(ranks: int, what: simsplit.Problem) -> Any:
    with remote.local(ranks) as group:
        results = [simulate(here, what) for here in reversed(group)]
    assert results[:-1] == [None] * (ranks - 1)
    return results[-1]


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "initial",
    [
        np.arange(7.0),
        np.arange(3),
        np.zeros((0, 2)),
        np.random.default_rng(1).random((50, 3)).astype(">f4"),
        np.asfortranarray(np.random.default_rng(1).random((50, 3)) * 1j),
        np.arange(100_000.0)[::-1],
    ],
)
def test_the_history_is_that_of_one_process_bit_for_bit(ranks: int, initial: Any) -> None:
    what = problem(initial, offset=0.3, multiplier=1.7)
    result = by_remote_objects(ranks, what)
    expected = simsplit.run(what, serial=True).history
    assert expected is not None
    assert result.history.dtype == expected.dtype
    assert result.history.tobytes() == expected.tobytes()
    assert result.calculators == (list(range(1, ranks)) or [0])
    assert "calculators" in str(result)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize(
    ("name", "width", "parameters"),
    [
        ("logistic", (), {"rate": np.linspace(0.1, 1, 7), "capacity": 9}),
        ("lorenz", (3,), {"rho": np.linspace(20, 30, 7)}),
        ("gbm", (2,), {"sigma": 0.3}),
        ("affine", (2,), {"offset": np.arange(14.0).reshape(7, 2)}),
    ],
)
def test_every_built_in_kernel_gives_the_bits_of_one_process(
    ranks: int, name: str, width: tuple[int, ...], parameters: dict[str, Any]
) -> None:
    initial = np.random.default_rng(3).random((7, *width))
    kernel = simsplit.kernels.load(name, **parameters)
    what = simsplit.Problem(initial, kernel, delta_t=0.01, steps=6, seed=5)
    expected = simsplit.run(what, serial=True).history
    assert expected is not None
    assert by_remote_objects(ranks, what).history.tobytes() == expected.tobytes()


def test_no_steps_give_an_empty_history() -> None:
    assert by_remote_objects(2, problem(steps=0)).history.shape == (0, 7)


def test_a_kernel_that_is_not_known_by_name_is_refused() -> None:
    class Own(simsplit.kernels.Kernel):
        def evaluate(self, x: Any, block: Any, out: Any) -> None: ...

    with remote.local(1) as (here,):
        with pytest.raises(InputError, match="the kernel Own is not known to the calculators by name"):
            simulate(here, simsplit.Problem(np.arange(3.0), Own(), delta_t=1, steps=1))
        with pytest.raises(InputError, match=r"There are: affine, gbm, logistic, lorenz, oscillator, sir\."):
            here.proxy("MPINAME:calculator_0").prepare("os.system", {}, np.zeros(1), 0, 1.0, 0, "<f8")
    missing = simsplit.Problem(None, simsplit.kernels.affine(), delta_t=1, steps=1)
    with remote.local(1) as (here,), pytest.raises(InputError, match="initial is None on rank 0"):
        simulate(here, missing)


def test_a_calculator_that_fails_is_named_and_its_exception_is_the_cause() -> None:
    with remote.local(2) as (here, there):
        calculator = Calculator()
        there.serve(calculator, name="calculator_1")
        calculator.prepare = lambda *_: None  # type: ignore[method-assign]
        with pytest.raises(KernelError, match=r"failed on rank 1 at step 0, t = 0\.1, rows 0–6") as caught:
            simulate(here, problem())
        assert isinstance(caught.value.__cause__, InputError)
        assert isinstance(caught.value.__cause__.__cause__, remote.RemoteTraceback)
