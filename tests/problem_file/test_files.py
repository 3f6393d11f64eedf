"""Problems as files: what is saved, loaded again, is the same problem."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, OutputError, Problem
from simsplit.kernels import Kernel, affine, expression, function, gbm, lorenz

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = np.linspace(-1.0, 2.0, 6)


def half(x: Any, t: Any) -> Any:
    """Return half of it, later more."""
    return x * 0.5 + t


class Own(Kernel):
    """Adds the time."""

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        """Add it."""
        np.add(x, block.t, out=out)


def bits(problem: Problem) -> bytes:
    history = simsplit.run(problem, serial=True).history
    assert history is not None
    return history.tobytes()


def same(one: Problem, other: Problem) -> bool:
    skipped = ("kernel", "source of the kernel")
    mine, theirs = ({k: v for k, v in each.settings().items() if k not in skipped} for each in (one, other))
    return mine == theirs


@pytest.mark.parametrize(
    "initial",
    [ROWS, ROWS.astype(">f4"), ROWS.reshape(3, 2).T, np.arange(6) > 2, np.zeros((0, 3)), ROWS * 1j, range(3)],
    ids=["doubles", "big-endian", "transposed", "booleans", "empty", "complex", "listed"],
)
def test_arrays_stand_beside_the_file(tmp_path: Path, initial: Any) -> None:
    problem = Problem(initial, affine(offset=0.1), delta_t=0.1, steps=3, start_time=1 / 3, seed=2**64 - 1)
    problem.save(tmp_path / "p.toml")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["p.initial.npy", "p.toml"]
    again = simsplit.load(tmp_path / "p.toml")
    assert same(problem, again)
    assert (again.initial.dtype, again.initial.shape) == (problem.initial.dtype, problem.initial.shape)
    assert bits(problem) == bits(again)


@pytest.mark.parametrize(
    ("kernel", "initial"),
    [
        (expression("(offset + x * multiplier) * t", offset=ROWS, multiplier=2), ROWS),
        (expression("affine * x", affine=1 + 2j), ROWS),
        (expression("x * c", kind="step", c=0.5), ROWS),
        (gbm(mu=ROWS, sigma=0.3), np.abs(ROWS)),
        (lorenz(rho=np.array([28.0, 14.0])), ROWS.reshape(2, 3)),
        (function(half), ROWS),
        (function(half, kind="step", name="another"), ROWS),
        (function(np.sin), ROWS),
    ],
)
def test_kernels_that_have_a_name_are_loaded_again(tmp_path: Path, kernel: Kernel, initial: Any) -> None:
    problem = Problem(initial, kernel, delta_t=0.25, steps=4, keep="every:2", reduce="mean,max")
    problem.save(tmp_path / "p.toml")
    again = simsplit.load(tmp_path / "p.toml")
    assert same(problem, again)
    assert bits(problem) == bits(again)


def test_a_saved_problem_can_be_moved_and_is_saved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    problem = Problem(ROWS, affine(offset=ROWS), delta_t=0.5, steps=2)
    problem.save(tmp_path / "a" / "p.toml")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    moved = simsplit.load("b/p.toml")
    moved.save("again.toml")
    assert not list(tmp_path.glob("*.npy"))
    monkeypatch.chdir("b")
    assert bits(simsplit.load("../again.toml")) == bits(moved) == bits(problem)


def test_units_and_defaults_of_a_file_are_kept(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('size = 4\nsteps = 3\nunit = "m"\n[parameters]\noffset = 2.5\n')
    simsplit.load(tmp_path / "p.toml").save(tmp_path / "q.toml")
    assert 'unit = "m"' in (tmp_path / "q.toml").read_text()
    assert bits(simsplit.load(tmp_path / "q.toml")) == bits(simsplit.load(tmp_path / "p.toml"))


def closure() -> Any:
    rate = 0.5
    return lambda x, t: x * rate + t


def nested(rate: float) -> Any:
    def inner(x: Any) -> Any:
        return x * rate

    return inner


@pytest.fixture
def main_function() -> Iterator[Any]:
    """Return a function as a script has it."""
    main = sys.modules["__main__"]
    exec("def of_script(x):\n    return x", vars(main))  # noqa: S102, stands for a script
    yield main.of_script  # type: ignore[attr-defined]
    del main.of_script  # type: ignore[attr-defined]


def refused(kernel: Any, folder: Path, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        Problem(ROWS, kernel, delta_t=1, steps=1).save(folder / "p.toml")
    assert "module" in str(caught.value)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("kernel", "text"), [(closure(), "is a lambda"), (nested(2.0), "is a closure"), (Own(), "of the class Own")]
)
def test_kernels_of_the_program_are_refused(tmp_path: Path, kernel: Any, text: str) -> None:
    refused(kernel, tmp_path, text)


def test_a_function_of_a_script_is_refused(tmp_path: Path, main_function: Any) -> None:
    refused(main_function, tmp_path, "other programs can import")


def test_what_cannot_be_saved_is_named(tmp_path: Path) -> None:
    problem = Problem(ROWS, affine(), delta_t=1, steps=1)
    with pytest.raises(InputError, match="there is no folder"):
        problem.save(tmp_path / "none" / "p.toml")
    with pytest.raises(InputError, match="has no initial array"):
        Problem(None, affine(), delta_t=1, steps=1).save(tmp_path / "p.toml")
    with pytest.raises(InputError, match="a parameter called initial"):
        Problem(ROWS, expression("x * initial", initial=2), delta_t=1, steps=1).save(tmp_path / "p.toml")
    with pytest.raises(InputError, match="parameter offset is a"):
        Problem(ROWS, affine(offset=np.longdouble("0.1")), delta_t=1, steps=1).save(tmp_path / "p.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(OutputError, match=r"cannot write the problem .*folder\.toml"):
        problem.save(tmp_path / "folder.toml")
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".tmp"]


@pytest.mark.parametrize(
    ("text", "told"), [("steps = -1", "steps"), ("stepz = 1", "Did you mean `steps`"), ("=", "TOML")]
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        simsplit.load(tmp_path / "p.toml")
    assert "p.toml" in str(caught.value)
    with pytest.raises(InputError, match="cannot read the problem"):
        simsplit.load(tmp_path / "missing.toml")
