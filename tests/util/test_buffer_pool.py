"""Large memory that is used again."""

from __future__ import annotations

import gc
import mmap
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from simsplit import Problem, kernels, run
from simsplit.util import buffer_pool as lending
from simsplit.util.buffer_pool import LARGE, BufferPool, Segment, best_fit
from tests.support.launching import LIMIT

F8 = np.dtype("f8")
ROWS = LARGE // 8


def address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def segment(nbytes: int) -> Segment:
    return Segment(mmap.mmap(-1, nbytes))


def test_memory_is_used_again_when_the_last_view_is_gone() -> None:
    pool = BufferPool()
    first, warm = pool.take(LARGE)
    assert not warm
    where, view = address(first), first[5:7]
    del first
    other, warm = pool.take(LARGE)
    assert not warm
    assert address(other) != where
    view[:] = 1
    del view
    again, warm = pool.take(LARGE - 100)
    assert warm
    assert (address(again), len(again)) == (where, LARGE - 100)


def test_what_does_not_fit_is_let_go_of() -> None:
    pool = BufferPool()
    pool.take(LARGE)  # free at once
    assert not pool.has(2 * LARGE)
    assert not pool.has(LARGE)
    pool.take(8 * LARGE)
    assert not pool.has(LARGE)  # far too large for it
    kept, _ = pool.take(LARGE)
    assert not pool.has(LARGE)
    del kept
    assert pool.has(LARGE)


def test_the_smallest_that_fits_is_taken() -> None:
    segments = [segment(size * 4096) for size in (4, 2, 3, 1)]
    assert best_fit(segments, 2 * 4096) is segments[1]
    lent = segments[1].lease(10)
    assert best_fit(segments, 2 * 4096) is segments[2]
    del lent
    assert best_fit(segments, 2 * 4096) is segments[1]
    assert best_fit(segments, 5 * 4096) is None


def test_it_is_told_when_memory_comes_back() -> None:
    told: list[bool] = []
    mine = Segment(mmap.mmap(-1, 4096), lambda: told.append(True))
    view = mine.lease(100)[10:].view("u2")
    gc.collect()
    assert not told
    del view
    assert told == [True]


def test_an_array_is_as_numpy_makes_it() -> None:
    for shape, dtype, order in (((3, 5), F8, "C"), ((0, 3), F8, "F"), ((LARGE, 2), np.dtype(">u2"), "F")):
        array, warm = lending.pooled_empty(shape, dtype, order)  # type: ignore[arg-type]
        like = np.empty(shape, dtype, order)  # type: ignore[call-overload]
        assert (array.shape, array.dtype, array.strides) == (like.shape, like.dtype, like.strides)
        assert array.flags.writeable
        assert not warm
        array[...] = 1


def test_small_memory_is_the_c_librarys() -> None:
    array, _ = lending.pooled_empty((ROWS - 1,), F8)
    assert array.base is None
    assert not lending.has_warm((ROWS - 1,), F8)


def test_two_threads_never_get_the_same() -> None:
    pool, wrong = BufferPool(), []

    def use(number: int) -> None:
        for _ in range(200):
            memory, _ = pool.take(4096)
            memory[:] = number
            if (memory != number).any():
                wrong.append(number)
            del memory

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_memory_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match=r"cannot take 1,152,921,504,606,846,976 bytes"):
        BufferPool().take(2**60)


def test_a_history_is_never_that_of_another_run() -> None:
    def history(offset: float) -> np.ndarray[Any, Any]:
        kernel = kernels.affine(offset=offset, multiplier=0.0)
        found = run(Problem(np.zeros(ROWS // 2), kernel, delta_t=1.0, steps=2), serial=True).history
        assert found is not None
        return found

    first, second = history(1.0), history(2.0)
    assert (first[1] == 1).all()
    where = address(first)
    del first
    third = history(3.0)
    assert address(third) == where
    assert (second[1] == 2).all()
    assert (third[1] == 3).all()


def test_memory_that_is_kept_does_not_count_against_the_next_run() -> None:
    code = f"""
import resource, numpy as np, simsplit

def run(steps):
    problem = simsplit.Problem(np.zeros({ROWS}), simsplit.kernels.affine(), delta_t=1.0, steps=steps)
    simsplit.run(problem, serial=True, backend="numpy")

run(20)  # 640 MiB
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**27, taken + 2**27))
run(20)
run(15)
run(21)  # fits only in the place of what is kept
try:
    run(40)
except simsplit.InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert "the history of 40 steps" in done.stdout
