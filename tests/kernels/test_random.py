"""Random numbers: a function of seed, step, row and draw, whatever the split, and distributed as they say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simsplit.kernels.random import RandomStream
from tests.support.profiles import examples

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FAR = [0, 5, 2**31 - 3, 2**62 - 3, 2**62 + 17, 2**63 - 60]
SHAPES: list[tuple[int, ...]] = [(), (1,), (2,), (3,), (4,), (5,), (2, 3), (0,)]


def drawn(lower: int, upper: int, shape: tuple[int, ...], seed: int = 11, step: int = 3) -> list[Array]:
    """Return several draws of all kinds."""
    draws = RandomStream(seed, step, lower, upper)
    return [draws.uniform(*shape), draws.normal(*shape), draws.words(3), draws.normal(*shape), draws.uniform()]


@examples(150)
@given(
    lower=st.sampled_from(FAR),
    length=st.integers(0, 50),
    cuts=st.lists(st.integers(0, 50), max_size=4),
    shape=st.sampled_from(SHAPES),
)
def test_any_split_of_the_rows_gives_the_same_bits(
    lower: int, length: int, cuts: list[int], shape: tuple[int, ...]
) -> None:
    whole = drawn(lower, lower + length, shape)
    ends = [0, *sorted(min(cut, length) for cut in cuts), length]
    parts = [drawn(lower + start, lower + end, shape) for start, end in pairwise(ends)]
    for number, expected in enumerate(whole):
        found = np.concatenate([part[number] for part in parts])
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_numbers_have_the_shape_that_is_asked_for(shape: tuple[int, ...]) -> None:
    draws = RandomStream(1, 2, 10, 17)
    for numbers in (draws.uniform(*shape), draws.normal(*shape)):
        assert numbers.shape == (7, *shape)
        assert numbers.dtype == np.float64
        assert numbers.flags.c_contiguous
    assert draws.words(5).shape == (7, 5)
    assert draws.words(5).dtype == np.uint64


@pytest.mark.parametrize("length", [1_000, 100_001])
def test_long_runs_of_rows_are_split_without_a_trace(length: int) -> None:
    """Long enough for NumPy's vectorised loops, with ends that no vector fits."""
    whole = RandomStream(5, 1, 0, length).normal(3)
    for lower in (1, 7, length // 3):
        part = RandomStream(5, 1, lower, length - 2).normal(3)
        assert part.tobytes() == whole[lower : length - 2].tobytes()


def test_seeds_steps_rows_and_draws_all_differ() -> None:
    seen: set[int] = set()
    total = 0
    for seed in (0, 1, 2**64 - 1):
        for step in (0, 1, 2**40):
            draws = RandomStream(seed, step, 100, 120)
            for words in (draws.words(4), draws.words(1), draws.words(7)):
                seen |= set(words.ravel().tolist())
                total += words.size
    assert len(seen) == total


@pytest.mark.parametrize("lower", FAR)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_counters_overlap_neither_between_rows_nor_between_draws(lower: int, count: int) -> None:
    """All words that a counter gives, the unused ones too, are unlike those of any other."""
    draws = RandomStream(3, 4, lower, lower + 50)
    whole = -(-count // 4) * 4
    words = np.concatenate([draws.words(whole).ravel(), draws.words(4).ravel(), draws.words(whole).ravel()])
    assert len(set(words.tolist())) == words.size


@pytest.mark.parametrize("count", [1, 4, 5, 9])
@pytest.mark.parametrize("row", [0, 1, 2**62 + 1, 2**63 - 1])
def test_a_row_starts_at_its_own_counter_of_the_cipher(row: int, count: int) -> None:
    """By NumPy's Philox as documented: it counts up, then enciphers; a counter gives four words."""
    counters = -(-count // 4)
    draws = RandomStream(17, 23, row, row + 1)
    for number in range(3):
        expected: list[int] = []
        for counter in range(row * counters, (row + 1) * counters):
            state = np.array([counter % 2**64, counter // 2**64, number, 0], np.uint64)
            key = np.array([17, 23], np.uint64)
            expected += np.random.Philox(key=key, counter=state).random_raw(4).tolist()
        assert draws.words(count).tolist() == [expected[:count]]


def test_the_cipher_is_that_of_the_paper() -> None:
    """The known answers of Random123 for Philox 4x64-10, computed here with Python's integers."""

    def philox(counter: list[int], key: list[int]) -> list[int]:
        for number in range(10):
            if number:
                key = [(key[0] + 0x9E3779B97F4A7C15) % 2**64, (key[1] + 0xBB67AE8584CAA73B) % 2**64]
            one, two = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
            counter = [
                two // 2**64 ^ counter[1] ^ key[0],
                two % 2**64,
                one // 2**64 ^ counter[3] ^ key[1],
                one % 2**64,
            ]
        return counter

    assert philox([0] * 4, [0] * 2)[0] == 0x16554D9ECA36314C
    row, draw = 2**62 + 5, 1
    draws = RandomStream(2**64 - 1, 6, row, row + 1)
    draws.words(4)
    # NumPy counts up before it enciphers.
    assert draws.words(8).tolist()[0][:4] == philox([2 * row + 1, 0, draw, 0], [2**64 - 1, 6])


@pytest.mark.parametrize("step", [0, 2**63, 2**64 - 1])
def test_steps_and_seeds_of_64_bits_are_fine(step: int) -> None:
    assert RandomStream(step, step, 0, 2).words(1).shape == (2, 1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_uniform_numbers_lie_in_zero_to_one_without_one(seed: int) -> None:
    numbers = RandomStream(seed, 0, 0, 100_000).uniform(4)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.all(numbers * 2.0**53 == np.floor(numbers * 2.0**53))


def test_the_ends_of_the_words_give_numbers_that_are_in_range(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = np.array([[0, 0], [0, 2**64 - 1], [2**64 - 1, 0], [2**64 - 1, 2**64 - 1]], np.uint64)
    monkeypatch.setattr(RandomStream, "words", lambda _, count: ends[:, :count])
    assert RandomStream(0, 0, 0, 4).uniform(2).tolist() == [[0, 0], [0, 1 - 2**-53], [1 - 2**-53, 0], [1 - 2**-53] * 2]
    normal = RandomStream(0, 0, 0, 4).normal(2)
    assert np.isfinite(normal).all()
    assert np.abs(normal).max() < 9


# Kolmogorov and Smirnov: with the seeds fixed the numbers are, and a p below 0.001 would mean that they are wrong.
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shape", [(), (3,), (4,)])
def test_uniform_numbers_are_uniform(seed: int, shape: tuple[int, ...]) -> None:
    numbers = RandomStream(seed, 0, 0, 20_000).uniform(*shape)
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.001
    for column in numbers.reshape(20_000, -1).T:
        assert stats.kstest(column, "uniform").pvalue > 0.001


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shape", [(), (3,), (4,)])
def test_normal_numbers_are_normal(seed: int, shape: tuple[int, ...]) -> None:
    numbers = RandomStream(seed, 0, 0, 20_000).normal(*shape)
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 0.001
    for column in numbers.reshape(20_000, -1).T:
        assert stats.kstest(column, "norm").pvalue > 0.001


def test_the_numbers_of_one_row_are_distributed_over_the_steps_as_those_of_one_step_over_the_rows() -> None:
    numbers = np.concatenate([RandomStream(8, step, 77, 78).normal() for step in range(5_000)])
    assert stats.kstest(numbers, "norm").pvalue > 0.001


def test_neighbours_are_not_correlated() -> None:
    """Rows, components, draws and steps: of 20,000 independent pairs |r| stays below 5 / sqrt(20,000)."""
    draws, after = RandomStream(9, 0, 0, 20_001), RandomStream(9, 1, 0, 20_001)
    numbers, second, later = draws.normal(2), draws.normal(), after.normal()
    pairs = [
        (numbers[1:, 0], numbers[:-1, 0]),
        (numbers[:, 0], numbers[:, 1]),
        (numbers[:, 0] ** 2, numbers[:, 1] ** 2),
        (numbers[:, 0], second),
        (numbers[:, 0], later),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(20_000)


@pytest.mark.parametrize("rows", [0, 1, 5, 1000])
def test_one_number_a_row_is_the_first_of_the_two_of_a_pair(rows: int) -> None:
    one, two = RandomStream(3, 4, 7, 7 + rows).normal(1), RandomStream(3, 4, 7, 7 + rows).normal(2)
    assert one.tobytes() == np.ascontiguousarray(two[:, :1]).tobytes()
    assert RandomStream(3, 4, 7, 7 + rows).normal().tobytes() == one.tobytes()
