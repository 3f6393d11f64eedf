"""The main job by remote objects: the same bits as the collective way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import remote
from simsplit.errors import InputError, KernelError
from simsplit.remote import simulation
from simsplit.remote.simulation import Calculator, simulate


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
    assert str(result).startswith("1 calculator · " if ranks < 3 else f"{ranks - 1} calculators · ")


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
            here.proxy(f"MPINAME:calculator_{here.host}").prepare("os.system", {}, np.zeros(1), 0, 1.0, 0, "<f8")
    missing = simsplit.Problem(None, simsplit.kernels.affine(), delta_t=1, steps=1)
    with remote.local(1) as (here,), pytest.raises(InputError, match="initial is None on rank 0"):
        simulate(here, missing)


def test_a_calculator_that_fails_is_named_and_its_exception_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with remote.local(2) as (here, there):
        calculator = Calculator()
        calculator.prepare = lambda *_: None  # type: ignore[method-assign]
        monkeypatch.setattr(simulation, "Calculator", lambda: calculator)
        assert simulate(there, problem()) is None
        with pytest.raises(KernelError, match=r"failed on rank 1 at step 0, t = 0\.1, rows 0–6") as caught:
            simulate(here, problem())
        assert isinstance(caught.value.__cause__, InputError)
        assert isinstance(caught.value.__cause__.__cause__, remote.RemoteTraceback)


@pytest.mark.parametrize("name", ["affine", "logistic"])
@pytest.mark.parametrize("keep", ["all", "last", "every:3"])
def test_the_steps_that_are_kept_are_those_of_the_collective_way(name: str, keep: str) -> None:
    what = simsplit.Problem(np.linspace(0.1, 2, 9), simsplit.kernels.load(name), delta_t=0.1, steps=8, keep=keep)
    result = by_remote_objects(3, what)
    expected = simsplit.run(what, serial=True).history
    assert expected is not None
    assert result.history.tobytes() == expected.tobytes()
    steps = {"affine": {"all": 8, "last": 1, "every:3": 3}, "logistic": {"all": 7, "last": 7, "every:3": 6}}
    assert result.calls == 2 * (1 + steps[name][keep])


@pytest.mark.parametrize("name", ["affine", "logistic"])
def test_a_result_that_is_not_a_number_is_an_error_if_that_is_asked_for(name: str) -> None:
    initial = np.array([1.0, 2.0, 3.0, np.nan])
    what = simsplit.Problem(initial, simsplit.kernels.load(name), delta_t=1.0, steps=5, nan="error")
    with remote.local(3) as group:
        for here in group[1:]:
            simulate(here, what)
        with pytest.raises(KernelError, match="failed on rank 2 at step") as caught:
            simulate(group[0], what)
    assert isinstance(caught.value.__cause__, FloatingPointError)
    assert "is row 3" in str(caught.value.__cause__)
    with pytest.raises(KernelError):
        simsplit.run(what, serial=True)


def test_calculators_are_named_after_their_host_and_several_runs_do_not_meet() -> None:
    with remote.local(4) as group:
        for number in range(2):
            for here in group[1:]:
                assert simulate(here, problem()) is None
            assert simulate(group[0], problem(offset=number)) is not None
        names = list(group[0].names.list_names("calculator_"))
    base = f"calculator_{group[0].host}"
    assert names == sorted([base, *(f"{base}_{number}" for number in range(2, 7))])
