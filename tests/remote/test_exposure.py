"""What can be reached: what is marked, and nothing else."""

from __future__ import annotations

import pytest

from simsplit import remote
from simsplit.errors import InputError
from simsplit.remote.exposure import Member, instances_of, members


class Base:
    @remote.expose
    def marked(self) -> int:
        return 1

    def inherited(self) -> int:
        return 2


@remote.expose
class Whole(Base):
    constant = 3

    def method(self) -> int:
        return 4

    def _private(self) -> int:
        return 5

    def __call__(self) -> int:
        return 6

    @property
    def read(self) -> int:
        return 7

    @property
    def written(self) -> int:
        return 8

    @written.setter
    def written(self, value: int) -> None: ...

    @staticmethod
    def static() -> int:
        return 9

    @classmethod
    def of_class(cls) -> int:
        return 10

    @remote.oneway
    def fire(self) -> None: ...

    class Inner:
        def hidden(self) -> None: ...


def test_a_whole_class_exposes_what_its_body_defines_and_bases_what_they_mark() -> None:
    assert dict(members(Whole)) == {
        "method": Member("method"),
        "read": Member("read", is_property=True),
        "written": Member("written", is_property=True, settable=True),
        "static": Member("static"),
        "of_class": Member("of_class"),
        "fire": Member("fire", oneway=True),
        "marked": Member("marked"),
    }


def test_a_class_without_a_mark_exposes_what_is_marked_in_it() -> None:
    class Part:
        @property
        @remote.expose
        def read(self) -> int:
            return 1

        def other(self) -> None: ...

    assert list(members(Part)) == ["read"]
    assert list(members(Base)) == ["marked"]
    assert not members(int)


def test_a_method_that_is_overridden_stays_exposed() -> None:
    class Derived(Whole):
        def method(self) -> int:
            return 40

        def new(self) -> None: ...

    assert "method" in members(Derived)
    assert "new" not in members(Derived)


def test_instances_are_asked_for_by_name() -> None:
    @remote.expose(instances="session")
    class Session:
        def method(self) -> None: ...

    assert instances_of(Session) == "session"
    assert instances_of(Whole) == "single"
    with pytest.raises(InputError, match="one of single, session, percall, not 'each'"):
        remote.expose(instances="each")


@pytest.mark.parametrize("thing", [5, "text", len, lambda: 1])
def test_what_cannot_be_exposed_is_refused(thing: object) -> None:
    if callable(thing) and getattr(thing, "__name__", "") == "<lambda>":
        thing.__name__ = "_hidden"
    with pytest.raises(InputError, match="cannot be exposed"):
        remote.expose(thing)


def test_a_private_method_and_a_oneway_property_are_refused() -> None:
    def _private() -> None: ...

    with pytest.raises(InputError, match="_private cannot be exposed"):
        remote.expose(_private)
    with pytest.raises(InputError, match="cannot be oneway"):
        remote.oneway(property(lambda _self: 1))
    with pytest.raises(InputError, match="only a class has instances"):
        remote.expose(instances="single")(5)
