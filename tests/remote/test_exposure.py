"""What can be reached: what is marked, and nothing else."""

from __future__ import annotations

from functools import cached_property, lru_cache, partialmethod, singledispatchmethod
from typing import Any, Protocol

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


@remote.expose
class Wrapped:
    """Members that are more than functions."""

    def __init__(self) -> None:
        self.reckoned = 0

    def scale(self, value: float, factor: float = 1.0) -> float:
        return factor * value

    half = partialmethod(scale, factor=0.5)

    @cached_property
    def table(self) -> list[int]:
        self.reckoned += 1
        return [self.reckoned]

    @lru_cache  # noqa: B019, the instance lives as long as the test
    def square(self, value: int) -> int:
        self.reckoned += 1
        return value**2

    @singledispatchmethod
    def kind(self, value: Any) -> str:
        return "any"

    @kind.register
    def _(self, value: int) -> str:
        return "int"

    @staticmethod
    @lru_cache
    def fixed(value: int) -> int:
        return value


class Announced(Protocol):
    """What a caller knows: attributes, and members that are more than functions."""

    table: list[int]
    reckoned: int = 0
    missing: str

    def square(self, value: int) -> int: ...

    half = partialmethod(Wrapped.scale, factor=0.5)


@pytest.mark.parametrize("interface", [Wrapped, None])
def test_members_that_are_more_than_functions_are_reached(interface: Any) -> None:
    assert {name: member.is_property for name, member in members(Wrapped).items()} == {
        "scale": False,
        "half": False,
        "table": True,
        "square": False,
        "kind": False,
        "fixed": False,
    }
    with remote.local(2) as ranks:
        uri = ranks[1].serve(Wrapped())
        proxy = ranks[0].proxy(uri, interface, attributes=interface is None)
        assert (proxy.half(3.0), proxy.scale(3.0, 2), proxy.square(3), proxy.square(3)) == (1.5, 6.0, 9, 9)
        assert (proxy.kind(1), proxy.kind("a"), proxy.fixed(5)) == ("int", "any", 5)
        assert proxy.table == proxy.table == [2]
        with pytest.raises(AttributeError):
            proxy.table = [3]


def test_marks_on_members_that_are_more_than_functions_hold_for_them_alone() -> None:
    class Part:
        def scale(self, value: float, factor: float = 1.0) -> float:
            return factor * value

        half = remote.expose(partialmethod(scale, factor=0.5))
        fire = remote.expose(remote.oneway(partialmethod(scale)))

        @remote.expose
        @lru_cache  # noqa: B019
        def one(self) -> int:
            return 1

        @lru_cache  # noqa: B019
        @remote.expose
        def two(self) -> int:
            return 2

        @remote.expose
        @cached_property
        def three(self) -> int:
            return 3

        @cached_property
        def hidden(self) -> int:
            return 4

    assert dict(members(Part)) == {
        "half": Member("half"),
        "fire": Member("fire", oneway=True),
        "one": Member("one"),
        "two": Member("two"),
        "three": Member("three", is_property=True),
    }
    with pytest.raises(InputError, match="cannot be oneway"):
        remote.oneway(cached_property(len))


def test_attributes_that_a_protocol_announces_are_read_and_set() -> None:
    with remote.local(2) as ranks:
        proxy = ranks[0].proxy(ranks[1].serve(Wrapped()), Announced)
        assert set(dir(proxy)) == {"half", "missing", "reckoned", "square", "table"}
        assert proxy.table == [1]
        assert proxy.half(4.0) == 2.0
        with pytest.raises(TypeError, match="missing a required argument"):
            proxy.square()
        with pytest.raises(AttributeError, match="exposes no 'missing'"):
            _ = proxy.missing
        with pytest.raises(AttributeError, match="cannot be set"):
            proxy.table = []


def test_a_coroutine_is_refused_where_it_is_marked() -> None:
    async def method(self: Any) -> None: ...

    async def items(_self: Any) -> Any:
        yield 1

    for thing in (method, items, staticmethod(method), lru_cache(method)):
        with pytest.raises(InputError, match="it is an async function, and nobody would await it"):
            remote.expose(thing)
        with pytest.raises(InputError, match=r"Late\.thing cannot be exposed: it is an async function"):
            remote.expose(type("Late", (), {"thing": thing}))
    remote.expose(type("Private", (), {"_thing": method, "other": lambda _self: 1}))
    derived = type("Derived", (Whole,), {"method": method})
    with remote.local(1) as (here,), pytest.raises(InputError, match=r"Derived\.method cannot be exposed"):
        here.serve(derived())


def test_a_function_is_not_served_and_the_message_says_what_to_do() -> None:
    @remote.expose
    def function() -> int:
        return 1

    with remote.local(1) as (here,):
        for thing in (function, len, lambda: 1, Whole().method):
            with pytest.raises(InputError, match="it is a function"):
                here.serve(thing)


def test_names_that_no_header_has_room_for_are_refused_and_nothing_is_served() -> None:
    longest, too_long = "ä" * 127, "ä" * 128
    with remote.local(2) as (here, there):
        before = set(there._daemon.objects.served)
        for given in ({"object": too_long}, {"name": too_long}, {"name": "a", "tags": [too_long]}, {"name": "a b"}):
            with pytest.raises(InputError, match=r"at most 255 bytes long|without white space"):
                there.serve(Whole(), **given)  # type: ignore[arg-type]
        for name in (too_long, "a b", "a@b"):
            with pytest.raises(InputError, match="object must be"):
                there.serve(type(name, (Whole,), {})())
        long_method = remote.expose(type("Long", (), {too_long: lambda _self: 1}))
        with pytest.raises(InputError, match="a name has at most 255 bytes"):
            there.serve(long_method())
        assert set(there._daemon.objects.served) == before
        there.serve(remote.expose(type("Long", (), {longest: lambda _self: 1}))(), object=longest)
        assert getattr(here.proxy(f"MPI:{longest}@1"), longest)() == 1


def test_a_keyword_may_have_any_name() -> None:
    @remote.expose
    class Taking:
        def take(this, **named: Any) -> Any:  # noqa: N805
            return named

    with remote.local(2) as (here, there):
        uri = there.serve(Taking())
        named = {"self": 1, "args": 2, "kwargs": 3, "name": 4, "timeout": 5, "request": 6, "positional": 7, "cls": 8}
        for proxy in (here.proxy(uri), here.proxy(uri, Taking), here.proxy(uri, attributes=True)):
            assert proxy.take(**named) == named
            assert proxy.take.submit(**named).result() == named
            assert proxy.take.options(timeout=5)(**named) == named
            proxy.take.oneway(**named)
            with remote.Batch(proxy) as batch:
                taken = batch.take(**named)
            assert taken.result() == named


@pytest.mark.parametrize("annotations", [{1: 1}, {"a": 1, None: 2}, [("a", 1)], "a", 5])
def test_annotations_without_names_are_refused_where_they_are_given(annotations: Any) -> None:
    with remote.local(2) as (here, there):
        proxy = here.proxy(there.serve(Whole()))
        with pytest.raises(InputError, match="annotations must be a mapping of str to objects"):
            proxy.method.options(annotations=annotations)
