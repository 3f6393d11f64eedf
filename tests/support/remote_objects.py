"""Objects that the tests call."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import numpy as np

from simsplit import remote
from tests.support.launching import LIMIT


class StateError(Exception):
    """With arguments of its own, and an attribute."""

    def __init__(self, code: int, word: str) -> None:
        super().__init__(f"{word} {code}")
        self.code = code


class UnsendableError(Exception):
    """Carries what cannot travel."""

    def __init__(self) -> None:
        super().__init__(object())


class UnknownHereError(Exception):
    """Of a module that nobody has loaded."""

    __module__ = "no_such_module"
    code = 5

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.code = 7

    def __str__(self) -> str:
        return f"went {self.args}"


class Vector(Protocol):
    """What a caller may know of a calculator."""

    def add(self, a: Any, b: Any = 1) -> Any: ...

    @property
    def total(self) -> float: ...


@remote.expose
class Calculator:
    """A bit of everything."""

    constant = 5

    def __init__(self) -> None:
        self._total = 0.0
        self.state = np.zeros(10_000)
        self.seen: list[Any] = []

    def add(self, a: Any, b: Any = 1) -> Any:
        return a + b

    def echo(self, value: Any = None, **named: Any) -> Any:
        return named or value

    def fail(self, kind: str) -> None:
        secret = "a local variable"  # noqa: F841, S105, it must not travel
        if kind == "state":
            raise StateError(7, "seven")
        if kind == "unsendable":
            raise UnsendableError
        if kind == "exit":
            raise SystemExit(3)
        self._divide(kind)

    def _divide(self, kind: str) -> float:
        return 1 / len(kind[:0])

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def note(self, value: Any) -> None:
        self.seen.append(value)

    def noted(self) -> list[Any]:
        return self.seen

    @remote.oneway
    def note_only(self, value: Any) -> None:
        self.seen.append(value)

    def next_state(self) -> Any:
        """Return the array that is kept, and change it with the next call."""
        self.state += 1
        return self.state

    def context(self) -> dict[str, Any]:
        context = remote.call_context()
        assert context is not None
        return context._asdict()

    def nest(self, other: Any, back: Any, depth: int) -> int:
        """Call each other until the depth is reached, and count."""
        return 1 if depth <= 1 else 1 + other.nest(back, other, depth - 1)

    def unsendable(self) -> Any:
        return {"f": len}

    def count(self, stop: int) -> Any:
        yield from range(stop)

    def make(self) -> Any:
        return Calculator()

    @property
    def total(self) -> float:
        return self._total

    @total.setter
    def total(self, value: float) -> None:
        self._total = value

    @property
    def fixed(self) -> str:
        return "fixed"


class Held:
    """Has methods that go on when a test says so, or when another thread is as far. Of ranks in one process."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.both = threading.Barrier(2)

    @remote.expose
    def hold(self) -> str:
        """Return when `go` is set; `begun` tells that this method runs."""
        self.begun.set()
        assert self.go.wait(LIMIT)
        return "held"

    @remote.expose
    def meet(self) -> int:
        """Return when two threads are in this method."""
        return self.both.wait(LIMIT) >= 0


@remote.expose
class Changing:
    """Goes on to change whatever it has given, and what it gives is a part of it."""

    def __init__(self, length: int) -> None:
        self.state = np.zeros(length)
        self.word = {"n": [0]}
        self.got: list[Any] = []

    def _step(self) -> Any:
        self.state += 1
        self.word["n"][0] += 1
        return [self.state[1:-1], self.word, self.word["n"]]

    def steps(self, count: int) -> Any:
        for _ in range(count):
            yield self._step()

    def step(self) -> Any:
        return self._step()

    @property
    def stepped(self) -> Any:
        return self._step()

    def fail(self) -> None:
        raise ValueError(*self._step())

    def steps_then_fail(self) -> Any:
        yield self._step()
        self.fail()

    def keep(self, array: Any, word: Any) -> None:
        self.got.append([float(array[0]), float(array[-1]), word])

    def call_back(self, other: Any, count: int) -> None:
        """Pass on what changes."""
        futures = []
        for _ in range(count):
            futures.append(other.keep.submit(*self._step()[:2]))
            other.keep.oneway(*self._step()[:2])
            other.keep(*self._step()[:2])
        for future in futures:
            future.result()

    def kept(self) -> list[Any]:
        return sorted(self.got, key=repr)

    def echo(self, *values: Any) -> Any:
        return values

    def unknown(self) -> None:
        raise UnknownHereError("wrong")

    def unknown_later(self) -> Any:
        self.unknown()
        yield

    def is_one(self, one: Any, other: Any) -> bool:
        return one is other


def state_of(given: Any) -> tuple[float, int]:
    """Return which state of a `Changing` was given, if all of it is of one."""
    array, word, numbers = given
    assert (array == array[0]).all()
    assert word["n"] is numbers
    return float(array[0]), numbers[0]


class CountedBase:
    """Counts its instances and its own calls."""

    instances = 0

    def __init__(self) -> None:
        type(self).instances += 1
        self.calls = 0

    @remote.expose
    def count(self) -> tuple[int, int]:
        self.calls += 1
        return type(self).instances, self.calls
