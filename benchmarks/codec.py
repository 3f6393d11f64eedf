"""Plain values through the codec of remote objects, beside msgspec alone.

    python benchmarks/codec.py [elements [rounds]]

For values of many shapes: the least time to encode and decode them, and how many times what msgspec takes for the
same, which makes lists of tuples and two objects of one. The aim is at most 2, whatever the shape. Values with a few
elements are measured too, for which the ratio says less: what a call costs beside is more.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from simsplit.remote.wire.codec import Hooks, decode, encode

HOOKS = Hooks()
ENCODE, DECODE = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def pairs(depth: int, cls: type) -> Any:
    """Return a tree of pairs."""
    return cls((pairs(depth - 1, cls), pairs(depth - 1, cls))) if depth else 1.5


def values(count: int) -> dict[str, Any]:
    """Return values of about so many elements."""
    some, depth = range(count), count.bit_length() - 1
    return {
        "list of int": list(some),
        "list of str": list(map(str, some)),
        "dict of str to int": {str(number): number for number in some},
        "dict of int to float": {number: float(number) for number in some},
        "dict of tuple to tuple": {(number, 1): (number, "a") for number in some},
        "tuples of two": [(number, number + 1) for number in some],
        "lists of two": [[number, number + 1] for number in some],
        "dicts alike": [{"a": number, "b": 2.0} for number in some],
        "dicts of tuples and lists": [{"at": (number, 2), "tags": ["a"]} for number in some],
        "tuples of all": [(number, "a", [1, 2], (2, 3), {"k": None}) for number in some],
        "columns": {"x": list(some), "y": [float(number) for number in some]},
        "scalars and containers mixed": [[number, (1, 2), {"a": 2}, "x", None][number % 5] for number in some],
        "tree of lists": pairs(depth, list),
        "tree of tuples": pairs(depth, tuple),
    }


def least(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the least time of each call, in seconds; they take turns, and so share whatever else is going on."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, seconds, strict=True):
            begun = time.perf_counter()
            call()
            times.append(time.perf_counter() - begun)
    return [min(times) for times in seconds]


def main() -> None:
    """Measure and print."""
    count, rounds = [int(text) for text in sys.argv[1:3]] + [100_000, 9][len(sys.argv) - 1 :]
    for number in (count, 10, 2):
        print(f"{number:,} elements, least of {rounds if number == count else 1000} rounds")
        for name, value in values(number).items():
            times = rounds if number == count else 1000
            calls = [
                lambda value=value: decode(encode(value, HOOKS).body, HOOKS),
                lambda value=value: DECODE(ENCODE(value)),
            ]
            codec, alone = least(calls, times)
            print(f"  {name:30} {codec * 1e6:12,.1f} µs   {codec / alone:5.2f} × msgspec", flush=True)


if __name__ == "__main__":
    main()
