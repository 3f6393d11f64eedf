"""What a type checker knows of remote objects: mypy reads this with the package, and a test runs it.

Each wrong use is marked; mypy, which is strict, complains of a mark where it finds nothing wrong.
"""

from __future__ import annotations

from typing import Protocol, assert_type

from simsplit import remote


@remote.expose
class Calculator:
    """What is served."""

    def __init__(self) -> None:
        self._total = 0.0

    def add(self, a: int, b: int = 1) -> int:
        """Return the sum."""
        return a + b

    @property
    def total(self) -> float:
        """Of all."""
        return self._total

    @total.setter
    def total(self, value: float) -> None:
        self._total = value


class Adds(Protocol):
    """As much of it as a caller has to know."""

    def add(self, a: int, b: int = 1) -> int:
        """Return the sum."""
        ...


def use(here: remote.Session, uri: remote.ObjectURI) -> None:
    """Call through static proxies, rightly."""
    by_class = here.proxy(uri, Calculator)
    assert_type(by_class, Calculator)
    assert_type(by_class.add(1, b=2), int)
    assert_type(by_class.total, float)
    by_class.total = 1.5
    by_protocol = here.proxy(uri, Adds)
    assert_type(by_protocol.add(1), int)
    assert_type(here.names.list_names(), dict[str, str])


def misuse(by_class: Calculator) -> tuple[list[type[Exception]], object]:
    """Call through a static proxy, wrongly; return what was raised."""
    raised: list[type[Exception]] = []
    try:
        by_class.add(1, 2, 3)  # type: ignore[call-arg]
    except TypeError as error:
        raised.append(type(error))
    try:
        by_class.adds(1)  # type: ignore[attr-defined]
    except AttributeError as error:
        raised.append(type(error))
    text: str = by_class.add(1)  # type: ignore[assignment]
    return raised, text
