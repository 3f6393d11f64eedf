"""Requests that nobody has begun: the deepest first, and those of one depth in order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from simsplit.remote.server.request_queue import RequestQueue


def request(depth: int, correlation: int, source: int = 0) -> Any:
    return SimpleNamespace(depth=depth, correlation=correlation, source=source)


def filled(*depths: int, deepest: int = 5) -> RequestQueue:
    queue = RequestQueue(deepest)
    for correlation, depth in enumerate(depths):
        queue.push(request(depth, correlation))
    return queue


def order(queue: RequestQueue, floor: int = 0) -> list[int]:
    found = []
    while (arrived := queue.pop(floor)) is not None:
        found.append(arrived.correlation)
    return found


def test_the_deepest_come_first_and_equals_in_order() -> None:
    assert order(filled(1, 3, 2, 3, 1, 2)) == [1, 3, 2, 5, 0, 4]


@pytest.mark.parametrize(("floor", "expected"), [(0, [2, 1, 0]), (1, [2, 1]), (2, [2]), (3, []), (9, [])])
def test_who_waits_at_a_depth_gets_deeper_ones_only(floor: int, expected: list[int]) -> None:
    queue = filled(1, 2, 3)
    assert order(queue, floor) == expected
    assert bool(queue) == (len(expected) < 3)


def test_depths_beyond_the_deepest_are_one() -> None:
    queue = filled(9, 5, 7)
    assert order(queue) == [0, 1, 2]
    assert list(queue.nested) == [5]


def test_it_is_false_when_all_was_taken() -> None:
    queue = filled(1, 4)
    assert queue
    assert order(queue) == [1, 0]
    assert not queue
    assert queue.pop() is None


def test_a_certain_request_is_taken_from_any_place_once() -> None:
    queue = filled(1, 1, 4, 4)
    for correlation in (1, 3):
        taken = queue.take(0, correlation)
        assert taken is not None
        assert taken.correlation == correlation
        assert queue.take(0, correlation) is None
    assert queue.take(1, 0) is None
    assert order(queue) == [2, 0]
