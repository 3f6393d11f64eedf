"""A million inputs for frames and codec, by hand: ``python tests/support/fuzz_frames.py [inputs [seed]]``.

Each input is bytes that another rank might send: noise, frames and values with a few bytes changed, and trees
of MessagePack made of what the codec gives a meaning to. Whatever they are, nothing but a `CodecError` may
be raised, no code may be run or file opened (Python's audit events tell), and no more memory asked for than the
limit. Where atheris is installed, ``--atheris`` lets it choose the inputs by what they reach in the code.
"""

from __future__ import annotations

import inspect
import random
import sys
import tempfile
import time
import zoneinfo  # noqa: F401, what a time zone loads, so that an import later on is one that was asked for
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from simsplit.errors import CodecError
from simsplit.remote.wire import codec, decoder, frame, shapes
from simsplit.remote.wire import values as kinds
from simsplit.remote.wire.codec import Decoding, Hooks, decode, decode_arguments, encode
from simsplit.remote.wire.frame import Flag, Frame, FrameKind, IncomingFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 2**20  # bytes that a frame may announce here
FORBIDDEN = ("import", "exec", "compile", "os.system", "subprocess.Popen", "ctypes.dlopen", "pickle.find_class")
HOOKS = Hooks(resolve=lambda text: text)
ROBOT = {"name": "r", "at": (1, 2.5)}
CIRCLE: list[Any] = [([],)]
CIRCLE[0][0].append(CIRCLE[0])
VALUES: list[Any] = [
    [ROBOT, {"robots": [ROBOT, ROBOT]}, np.arange(4.0)],
    CIRCLE,
    [(number, [number], {"a": (number, "b")}) for number in range(20)],
    [{(1, 2): [(3.5,)]}] * 40,
    None,
    [1, "a", 2.5, b"x", {"k": [True]}],
    (1, {2, 3}, frozenset("ab"), {1: 2}, 2**70, 1j, bytearray(b"abc")),
    [[1, 2], {"a": (3,)}],
    np.arange(6.0).reshape(2, 3),
    [np.float32(1), np.datetime64("2020-01-01"), np.array(["a", "bc"])],
    ValueError("wrong", 5),
]


class Guard:
    """Notes what must not happen while an input is looked at."""

    def __init__(self) -> None:
        self.on = False
        sys.addaudithook(self._hook)
        decoder.np = self  # type: ignore[attr-defined]  # whose `empty` is watched
        codec.empty = lambda *of: (self.empty(*of), False)  # type: ignore[assignment]  # where buffers are received

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = float, order: Any = "C") -> Any:
        """Make an array, if it is within the limit."""
        nbytes = prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
        assert nbytes <= LIMIT, f"{nbytes:,} bytes were asked for"
        return np.empty(shape, dtype, order)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in FORBIDDEN:
            raise AssertionError(f"{event} {arguments!r:.200}")


def look_at(data: bytes) -> None:
    """Do with an input what a rank does."""
    for read in (decode, decode_arguments):
        with suppress(CodecError):
            read(data, HOOKS)
    with suppress(CodecError):
        arrived = IncomingFrame(data, 0)
        if arrived.sizes:
            if sum(arrived.sizes) > LIMIT:  # where the endpoint refuses it
                return
            sizes = arrived.sizes
            if arrived.flags & Flag.BODY_APART:
                arrived.body, sizes = data, sizes[1:]
            decoding = Decoding(arrived.body, sizes)
            for array in decoding.buffers:
                array.reshape(-1, order="A").view(np.uint8)[...] = 0
            decoding.value(HOOKS)
        elif arrived.kind == FrameKind.REQUEST:
            arrived.arguments(HOOKS)
        else:
            arrived.value(HOOKS)


class Inputs:
    """Makes inputs at random."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        inline, apart = Hooks(), Hooks(inline=0)
        self.seeds = []
        for value in VALUES:
            self.seeds.append(encode(value, inline).body)
            for hooks in (inline, apart):
                body, buffers = encode(value, hooks)
                self.seeds.append(Frame(FrameKind.REQUEST, 1, "o", "m", body=body, buffers=buffers).pack(3)[0])
                self.seeds.append(Frame(FrameKind.RESULT, 1, body=body, buffers=buffers).pack(3)[0])

    def make(self) -> bytes:
        """Return the next."""
        kind = self.pick.randrange(4)
        if kind == 0:
            return self.pick.randbytes(self.pick.randrange(100))
        if kind == 1:
            body = msgspec.msgpack.encode([self.table(), self.tree(0)])
            sizes = [memoryview(bytes(self.pick.randrange(64))) for _ in range(self.pick.randrange(3))]
            frame = Frame(self.pick.randrange(1, 17), 1, "o", "m", self.pick.randrange(32), 1, body, sizes)
            return frame.pack(3)[0] if self.pick.random() < 0.5 else body
        data = bytearray(self.pick.choice(self.seeds))
        for _ in range(self.pick.randrange(1, 6)):
            place = self.pick.randrange(len(data))
            change = self.pick.randrange(3)
            if change == 0:
                data[place] = self.pick.randrange(256)
            elif change == 1:
                del data[place : place + self.pick.randrange(8)]
            else:
                data[place:place] = self.pick.randbytes(self.pick.randrange(8))
            if not data:
                return b""
        return bytes(data)

    def table(self) -> list[Any]:
        """Return a table of buffers, more or less."""
        return [
            [
                self.pick.choice(["<f8", "|u1", "|O", "<U4", "x", 5]),
                [self.small(), self.small()],
                self.pick.choice("CFx"),
            ]
            for _ in range(self.pick.randrange(3))
        ]

    def tree(self, depth: int) -> Any:
        """Return a value, in which extensions have any code and are followed by anything."""
        choice = self.pick.randrange(10 if depth < 5 else 5)
        if choice < 5:
            return self.pick.choice(
                [None, True, self.small(), 1.5, "", "<f8", "C", "Europe/Berlin", b"", bytes(8), "os:system"]
            )
        inner = [self.tree(depth + 1) for _ in range(self.pick.randrange(5))]
        if choice < 8:
            return [msgspec.msgpack.Ext(self.pick.randrange(27), b""), *inner]
        if choice == 8:  # what came before once more, in full or by its number; or a part with a shape
            if self.pick.random() < 0.3:
                shape, data = (msgspec.msgpack.encode(each) for each in (self.shape(depth), inner))
                return [msgspec.msgpack.Ext(int(kinds.ValueType.PART), b""), self.pick.choice([shape, None]), data]
            return [msgspec.msgpack.Ext(int(kinds.ValueType.SAME), b""), self.pick.randrange(8)]
        return {str(number): item for number, item in enumerate(inner)} if self.pick.random() < 0.5 else inner

    def shape(self, depth: int) -> Any:
        """Return the shape of a part, more or less."""
        if depth > 5 or self.pick.random() < 0.3:
            return self.pick.choice([None, None, 0, "x"])
        sequences = [self.pick.randrange(4), *(self.shape(depth + 1) for _ in range(self.pick.randrange(3)))]
        keys = [self.pick.choice(["0", "1", 0, ""]) for _ in range(self.pick.randrange(3))]
        mapping = [self.pick.randrange(2), *(part for key in keys for part in (key, self.shape(depth + 1)))]
        return [self.pick.random() < 0.5, self.pick.choice([None, sequences]), self.pick.choice([None, mapping])]

    def small(self) -> int:
        """Return a number, mostly a small one."""
        return self.pick.choice([0, 1, 2, 8, -1, 2**31, 2**62, 2**63])


def functions() -> Iterator[Any]:
    """Return the functions that read what came."""
    for module in (codec, frame, kinds, decoder, shapes):
        for thing in vars(module).values():
            for each in vars(thing).values() if inspect.isclass(thing) else [thing]:
                if inspect.isfunction(each) and each.__module__ == module.__name__:
                    yield each


def main() -> None:
    """Look at as many inputs as are asked for."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    count, seed = int(words[0]) if words else 10**6, int(words[1]) if len(words) > 1 else 0
    guard, inputs = Guard(), Inputs(seed)
    for data in inputs.seeds:  # what they load is loaded now
        look_at(data)

    def look_guarded(data: bytes) -> None:
        guard.on = True
        try:
            look_at(data)
        except BaseException:
            print(f"failed for {data!r}", flush=True)
            raise
        finally:
            guard.on = False

    if "--atheris" in sys.argv:
        let_atheris_choose(look_guarded, inputs.seeds, [f"-runs={count}", f"-seed={seed + 1}"])
        return
    begun = time.monotonic()
    for _ in range(count):
        look_guarded(inputs.make())
    print(f"{count:,} inputs in {time.monotonic() - begun:.0f} s: no crash, no code run, no memory over the limit")


def let_atheris_choose(look: Callable[[bytes], None], seeds: list[bytes], options: list[str]) -> None:
    """Look at inputs that atheris makes of the seeds; it ends the program."""
    import atheris

    for function in functions():
        atheris.instrument_func(function)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds):
            Path(folder, str(number)).write_bytes(data)
        atheris.Setup([sys.argv[0], folder, *options, "-max_len=400"], look)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
