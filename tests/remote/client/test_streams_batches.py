"""Streamed generators, batches, and methods that nobody waits for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import remote
from simsplit.errors import AccessDeniedError, CallTimeoutError, CodecError, InputError, UnknownNameError
from simsplit.remote.client import streams
from tests.support.launching import LIMIT
from tests.support.remote_objects import Calculator, Changing, StateError, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@remote.expose
class Source:
    """Gives generators."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = 0

    def count(self, stop: int) -> Iterator[int]:
        try:
            for number in range(stop):
                self.given += 1
                yield number
        finally:
            self.closed += 1

    def slow(self) -> Iterator[int]:
        for number in range(100):
            self.given += 1
            time.sleep(0.04)  # two of them are longer than a fetch goes on
            yield number

    def arrays(self, count: int) -> Iterator[Any]:
        for number in range(count):
            yield np.full(5000, number)

    def breaks(self) -> Iterator[int]:
        yield 1
        yield 2
        raise StateError(3, "three")

    def listed(self) -> Any:
        return iter([1, 2, 3])


SETTINGS = remote.Settings(stream_window=4, max_streams=2)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def ranks(source: Source) -> Iterator[list[remote.Session]]:
    with remote.local(3, settings=SETTINGS) as ranks:
        ranks[1].serve(source, object="source")
        ranks[1].serve(Calculator(), object="calculator")
        yield ranks


@pytest.fixture
def proxy(ranks: list[remote.Session]) -> Any:
    return ranks[0].proxy("MPI:source@1")


def test_a_generator_is_read_to_its_end(ranks: list[remote.Session], proxy: Any, source: Source) -> None:
    assert list(proxy.count(50)) == list(range(50))
    assert list(proxy.count(0)) == []
    assert list(proxy.listed()) == [1, 2, 3]
    assert [array[0] for array in proxy.arrays(9)] == list(range(9))
    assert source.closed == 2
    assert not ranks[1]._daemon.streams.open


def test_the_server_is_never_far_ahead_of_the_reader(
    proxy: Any, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_PATIENCE", LIMIT)  # a fetch is as large as it may be, however busy the machine
    items = proxy.count(1000)
    assert source.given == 0
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert source.given == 8


def test_items_that_take_long_are_not_held_back(proxy: Any, source: Source) -> None:
    items = proxy.slow()
    assert next(items) == 0
    assert source.given < SETTINGS.stream_window
    items.close()


def test_a_reader_that_has_enough_closes_the_generator(ranks: list[remote.Session], proxy: Any, source: Source) -> None:
    with proxy.count(100) as items:
        assert next(items) == 0
    ranks[0].ping(1)
    assert source.closed == 1
    assert list(items) == []
    items.close()


def test_a_generator_that_fails_gives_its_items_and_then_its_exception(proxy: Any) -> None:
    items = proxy.breaks()
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(StateError) as caught:
        next(items)
    assert "source.breaks" in str(caught.value.__cause__)
    with pytest.raises(StopIteration):
        next(items)


def test_a_generator_that_nobody_reads_is_closed_after_its_lifetime(
    proxy: Any, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = proxy.count(100)
    assert [next(items) for _ in range(4)] == [0, 1, 2, 3]
    later = time.monotonic() + SETTINGS.stream_lifetime
    monkeypatch.setattr(streams, "time", SimpleNamespace(monotonic=lambda: later + 1))
    with pytest.raises(UnknownNameError, match="STREAM_LIFETIME"):
        next(items)
    assert source.closed == 1


def test_streams_are_limited_and_belong_to_who_asked(ranks: list[remote.Session], proxy: Any) -> None:
    streams = [proxy.count(10), proxy.count(10)]
    with pytest.raises(AccessDeniedError, match="2 streams open here already"):
        proxy.count(10)
    assert next(ranks[2].proxy("MPI:source@1").count(10)) == 0
    thief = ranks[2].proxy("MPI:simsplit.streams@1")
    with pytest.raises(UnknownNameError):
        thief.fetch(streams[0]._number, 1)
    ranks[2].caller.left.append((1, streams[0]._number))
    ranks[2].caller.close_left()
    assert next(streams[0]) == 0
    with pytest.raises(AttributeError, match="exposes no 'add'"):
        thief.add(1, 2, 3)


# Batches


def test_a_batch_is_one_message_and_each_call_has_its_outcome(ranks: list[remote.Session]) -> None:
    calculator = ranks[0].proxy("MPI:calculator@1")
    calculator.add(1)
    before = ranks[1]._endpoint.received
    with remote.Batch(calculator) as batch:
        futures = [
            batch.add(1, 2),
            batch.fail("state"),
            batch.add(a=3),
            batch.nothing(),
            batch._calls and batch.total(),
        ]
        failing = batch.unsendable()
        assert not futures[0].done()
    assert ranks[1]._endpoint.received == before + 1
    assert (futures[0].result(), futures[2].result()) == (3, 4)
    with pytest.raises(StateError):
        futures[1].result()
    with pytest.raises(AttributeError, match="exposes no 'nothing'"):
        futures[3].result()
    with pytest.raises(AttributeError, match="is a property"):
        futures[4].result()
    with pytest.raises(CodecError, match="cannot travel"):
        failing.result()


def test_a_batch_can_be_sent_by_hand_and_oneway(ranks: list[remote.Session]) -> None:
    calculator = ranks[0].proxy("MPI:calculator@1")
    batch = remote.Batch(calculator)
    batch.note(1)
    batch.note(2)
    assert [future.result() for future in remote.send(batch)] == [None, None]
    assert remote.send(batch) == []
    batch.note(3)
    remote.send(batch, oneway=True)
    assert calculator.noted() == [1, 2, 3]


def test_a_batch_whose_block_raises_sends_nothing(ranks: list[remote.Session]) -> None:
    calculator = ranks[0].proxy("MPI:calculator@1")
    batch = remote.Batch(calculator)
    future = batch.note(1)
    with pytest.raises(ZeroDivisionError), batch:
        batch.note(1 / 0)
    assert future.cancelled()
    assert not batch._calls
    assert calculator.noted() == []


def test_a_batch_that_cannot_be_sent_fails_as_a_whole(ranks: list[remote.Session]) -> None:
    futures = []
    with pytest.raises(UnknownNameError), remote.Batch(ranks[0].proxy("MPI:other@1")) as batch:
        futures.append(batch.note(1))
    assert isinstance(futures[0].exception(), UnknownNameError)
    with pytest.raises(InputError, match="no proxy"):
        remote.Batch(5)
    with pytest.raises(AttributeError, match="private"):
        batch._secret  # noqa: B018, the point


# Methods that nobody waits for


def test_nobody_waits_for_a_oneway_method(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()

    @remote.expose
    class Slow:
        def __init__(self) -> None:
            self.ended = 0

        @remote.oneway
        def work(self) -> None:
            assert go.wait(LIMIT)
            self.ended += 1
            raise ZeroDivisionError

        def finished(self) -> int:
            return self.ended

    with remote.local(2, threads=True) as (here, there):
        slow = here.proxy(there.serve(Slow()))
        assert slow.work() is None  # before it can have ended
        go.set()
        assert slow.finished() == 1
    assert "a oneway call of rank 0 failed" in caplog.text


def test_a_stream_whose_items_came_too_late_ends_and_skips_none() -> None:
    go = threading.Event()

    @remote.expose
    class Slow:
        def count(self) -> Any:
            yield 0
            assert go.wait(LIMIT)
            yield from range(1, 5)

    with remote.local(2, threads=True) as (here, there):
        numbers = here.proxy(there.serve(Slow())).count()
        numbers._request = numbers._request._replace(timeout=0.1)  # as if that had been the limit from the start
        with pytest.raises(CallTimeoutError):
            list(numbers)
        go.set()
        assert list(numbers) == []
        here.wait_until(lambda: not there._daemon.streams.open, LIMIT)
        assert not there._daemon.streams.open


def test_a_generator_that_runs_when_its_reader_goes_is_closed_after() -> None:
    begun, go, closed = threading.Event(), threading.Event(), threading.Event()

    @remote.expose
    class Slow:
        def count(self) -> Any:
            try:
                begun.set()
                assert go.wait(LIMIT)
                yield from range(100)
            finally:
                closed.set()

    with remote.local(2, threads=True) as (here, there):
        numbers = here.proxy(there.serve(Slow())).count()

        def forget() -> None:
            assert begun.wait(LIMIT)
            there._daemon.streams.forget(0)
            assert not closed.is_set()  # it runs, so that it cannot be closed
            go.set()

        with ThreadPoolExecutor(1) as threads:
            forgotten = threads.submit(forget)
            assert next(numbers) == 0
            forgotten.result()
        assert closed.wait(LIMIT)


def test_a_generator_that_is_asked_for_more_while_it_runs_refuses_and_nobody_waits() -> None:
    @remote.expose
    class Reader:
        def again(self) -> str:
            try:
                return str(next(held[0]))
            except AccessDeniedError as error:
                return str(error)

    @remote.expose
    class Source:
        def count(self, reader: Any) -> Any:
            yield 1
            yield reader.again()

    held: list[Any] = []
    with remote.local(2, settings=remote.Settings(stream_window=1)) as (here, there):
        numbers = here.proxy(there.serve(Source())).count(Reader())
        held.append(numbers)
        assert next(numbers) == 1
        assert "Source-1.count is read already" in next(numbers)


@pytest.mark.parametrize("length", [6, 5000])
def test_values_are_what_they_were_when_they_were_given(ranks: list[remote.Session], length: int) -> None:
    proxy = ranks[0].proxy(ranks[1].serve(Changing(length)))
    assert [state_of(item) for item in proxy.steps(6)] == [(n, n) for n in range(1, 7)]
    with remote.Batch(proxy) as batch:
        outcomes = [batch.step() for _ in range(3)]
    assert [state_of(outcome.result()) for outcome in outcomes] == [(n, n) for n in range(7, 10)]
    given, numbers = np.zeros(length), [0]
    futures = []
    with remote.Batch(proxy) as batch:
        for number in range(1, 4):
            given += 1
            numbers[0] = number
            batch.keep(given, numbers)
            futures.append(proxy.keep.submit(given, numbers))
    given[:] = 0
    for future in futures:
        future.result()
    assert proxy.kept() == [[n, n, [n]] for n in (1, 1, 2, 2, 3, 3)]


def test_what_cannot_travel_in_a_batch_is_refused_where_it_is_given(ranks: list[remote.Session]) -> None:
    proxy = ranks[0].proxy(ranks[1].serve(Changing(6)))
    with remote.Batch(proxy) as batch:
        with pytest.raises(CodecError, match=r"^args\[1\]\[0\] cannot travel"):
            batch.keep(np.zeros(5000), [len])
        kept = batch.keep(np.ones(5000), [1])
    assert kept.result() is None
    assert proxy.kept() == [[1.0, 1.0, [1]]]


def test_an_item_that_cannot_travel_is_an_error_after_the_items_before_it(ranks: list[remote.Session]) -> None:
    closed = []

    @remote.expose
    class Giving:
        def items(self) -> Iterator[Any]:
            shared = [1]
            try:
                yield [shared, shared]
                yield {"f": [len, np.zeros(5000)]}
                yield 3
            finally:
                closed.append(1)

    items = ranks[0].proxy(ranks[1].serve(Giving())).items()
    one, other = next(items)
    assert one is other
    with pytest.raises(CodecError, match=r"value\['f'\]\[0\] cannot travel"):
        next(items)
    assert closed == [1]
    assert list(items) == []


def test_streams_that_are_left_make_room_for_others(ranks: list[remote.Session], proxy: Any, source: Source) -> None:
    for _ in range(20):
        for number in proxy.count(100):
            if number:
                break
        next(proxy.count(100))
        proxy.count(100)
    ranks[0].ping(1)
    assert not ranks[1]._daemon.streams.open
    assert source.closed == 40  # one that was never begun has nothing to close


def test_a_generator_finds_the_call_that_gave_it_and_is_named_by_it() -> None:
    @remote.expose
    class Asks:
        def context(self) -> Any:
            yield remote.call_context()._asdict()  # type: ignore[union-attr]
            yield self.context

    with remote.local(2, settings=remote.Settings(stream_window=1)) as (here, there):
        asks = here.proxy(there.serve(Asks(), object="asks"))
        items = asks.context.options(annotations={"trace": 1})()
        context = next(items)
        assert (context["object"], context["method"], context["annotations"]) == ("asks", "context", {"trace": 1})
        with pytest.raises(CodecError) as caught:
            next(items)
        assert "asks.context" in str(caught.value.__cause__)
        assert "simsplit.streams" not in f"{caught.value} {caught.value.__cause__}"


def test_messages_on_streams_name_the_call_that_gave_them() -> None:
    with remote.local(2, threads=True) as (here, there):
        there.serve(Source(), object="source")
        items = here.proxy("MPI:source@1").slow.options(timeout=0.02)()
        with pytest.raises(CallTimeoutError, match=r"^MPI:source@1\.slow: no answer within 0\.02 s"):
            next(items)
        items = here.proxy("MPI:source@1").count(100)
        there._daemon.streams.forget(0)
        with pytest.raises(UnknownNameError, match="the stream is closed") as caught:
            next(items)
        assert "simsplit.streams" not in str(caught.value.__cause__)
