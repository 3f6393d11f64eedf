"""What every communicator keeps: tests that each of them inherits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.bounds import bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsplit.communicator import Communicator

SIZES = [0, 1, 3, 7, 12]
ROWS = [(), (1,), (3,), (2, 5), (0,), (3, 0)]
DTYPES = ["?", "<i2", ">i4", "<f4", ">f8", "<c16", "longdouble", "clongdouble"]


class CommunicatorSuite:
    """The contract. A subclass says how a function is called on all ranks."""

    def on_all(self, check: Callable[[Communicator], None]) -> None:
        """Call `check` with the communicator of each rank; raise what it raises."""
        raise NotImplementedError

    def test_it_knows_its_ranks(self) -> None:
        def check(world: Communicator) -> None:
            assert world.size >= 1
            assert world.allgather(world.rank) == list(range(world.size))
            assert (world.comm is None) == (world.thread_level is None)
            assert world.comm is None or world.library is not None
            assert world.is_world
            assert world.max_count >= 2**31 - 1

        self.on_all(check)

    @pytest.mark.parametrize("value", [{"a": 1}, 0, "", [], False])
    def test_bcast_gives_everyone_roots_value(self, value: object) -> None:
        def check(world: Communicator) -> None:
            assert world.bcast(value if world.rank == 0 else None) == value

        self.on_all(check)

    def test_a_bit_that_one_rank_sets_is_known_to_all(self) -> None:
        def check(world: Communicator) -> None:
            assert world.allreduce_or(1 << world.rank) == 2**world.size - 1
            assert [world.allreduce_or(2**30 * (world.rank == rank)) for rank in range(world.size)] == [
                2**30
            ] * world.size
            assert world.allreduce_or(0) == 0

        self.on_all(check)

    def test_persistent_messages_are_sent_again_and_again_in_order(self) -> None:
        def check(world: Communicator) -> None:
            after, before = (world.rank + 1) % world.size, (world.rank - 1) % world.size
            sent, found = np.zeros((3, 2), "i4"), np.zeros((3, 2), "i4")
            others = [(peer, index) for peer in {after, before} for index in (0, 1)] if world.size > 1 else []
            sends = [(peer, sent[index : index + 1]) for peer, index in others]  # the same peer twice
            places = {peer: number for number, peer in enumerate(dict.fromkeys(peer for peer, _ in others))}
            here = np.zeros((max(1, len(places)), 2, 2), "i4")
            receives = [(peer, here[places[peer], index : index + 1]) for peer, index in others]
            messages = world.persistent(sends, receives)
            messages.finish()  # nothing was started
            for turn in range(3):
                sent[...] = 100 * turn + 10 * world.rank + np.arange(3)[:, None]
                messages.start()
                messages.test()
                messages.finish()
                for peer, place in places.items():
                    assert here[place, :, 0].tolist() == [100 * turn + 10 * peer, 100 * turn + 10 * peer + 1]
            messages.start()
            messages.close()
            assert not found.any()

        self.on_all(check)

    @pytest.mark.parametrize("row", ROWS)
    @pytest.mark.parametrize("size", SIZES)
    def test_scatterv_brings_each_rank_its_rows(self, size: int, row: tuple[int, ...]) -> None:
        def check(world: Communicator) -> None:
            whole = np.arange(float(size * int(np.prod(row)))).reshape(size, *row)
            spans = bounds(size, world.size)
            lower, upper = spans[world.rank]
            part = np.full((upper - lower, *row), -1.0)
            world.scatterv(whole if world.rank == 0 else None, spans, part)
            expected = np.full_like(part, -1.0) if world.rank == 0 else whole[lower:upper]
            assert np.array_equal(part, expected)

        self.on_all(check)

    @pytest.mark.parametrize("steps", [0, 1, 3])
    @pytest.mark.parametrize("row", ROWS)
    @pytest.mark.parametrize("size", SIZES)
    def test_gatherv_puts_rows_where_the_spans_say(self, size: int, row: tuple[int, ...], steps: int) -> None:
        gap = 2  # rows between the spans, which must stay as they are

        def check(world: Communicator) -> None:
            near = bounds(size, world.size)
            spans = [(lower + gap * rank, upper + gap * rank) for rank, (lower, upper) in enumerate(near)]
            shape = (steps, size + gap * world.size, *row)
            lower, upper = spans[world.rank]
            buffer = np.full((steps + 1, upper - lower + 1, *row), float(world.rank))
            wholes = np.full(shape, -1.0) if world.rank == 0 else None
            if wholes is not None:
                wholes[:, lower:upper] = 0.0
            world.gatherv(buffer[:steps, : upper - lower], spans, wholes)
            if wholes is not None:
                expected = np.full(shape, -1.0)
                for rank, (first, last) in enumerate(spans):
                    expected[:, first:last] = rank
                assert np.array_equal(wholes, expected)

        self.on_all(check)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_every_dtype_travels_as_it_is(self, dtype: str) -> None:
        def check(world: Communicator) -> None:
            whole = np.arange(11).astype(dtype)
            spans = bounds(11, world.size)
            lower, upper = spans[world.rank]
            part = np.zeros(upper - lower, dtype)
            if world.rank == 0:
                part[:] = whole[lower:upper]
            world.scatterv(whole if world.rank == 0 else None, spans, part)
            back = np.zeros((1, 11), dtype) if world.rank == 0 else None
            if back is not None:
                back[0, lower:upper] = whole[lower:upper]
            world.gatherv(part[None], spans, back)
            assert back is None or back.tobytes() == whole.tobytes()

        self.on_all(check)

    def test_several_pieces_to_and_from_several_ranks(self) -> None:
        def check(world: Communicator) -> None:
            others = [rank for rank in range(world.size) if rank != world.rank]
            sends = {rank: [np.full((2, 3), 10 * world.rank + rank), np.arange(5)[1:3]] for rank in others}
            wide: dict[int, Any] = {rank: np.zeros((2, 5), int) for rank in others}
            flat: dict[int, Any] = {rank: np.zeros(2, int) for rank in others}
            world.exchange(sends, {rank: [wide[rank][:, 1:4], flat[rank]] for rank in others})
            for rank in others:
                assert wide[rank].tolist() == [[0, *[10 * rank + world.rank] * 3, 0]] * 2
                assert flat[rank].tolist() == [1, 2]

        self.on_all(check)

    def test_the_ranks_of_a_node_are_the_same_object_each_time(self) -> None:
        def check(world: Communicator) -> None:
            assert world.node() is world.node()

        self.on_all(check)
