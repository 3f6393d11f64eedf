"""How much memory is left."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from simsplit import InputError
from simsplit.util import memory_limits as memory

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    4000000 kB\n"
PAGE = resource.getpagesize()


def set_system(
    monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], address_space: int = resource.RLIM_INFINITY
) -> None:
    """Let the operating system say what `files` hold, and nothing else."""

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    monkeypatch.setattr(memory, "_read", read)
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (address_space, resource.RLIM_INFINITY))


def test_what_the_machine_has_available_counts_not_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    set_system(monkeypatch, {"/proc/meminfo": MEMINFO})
    assert memory.available() == 4_000_000 * 1024


@pytest.mark.parametrize("text", ["", "MemTotal: 5 kB\n", "MemAvailable: much\n", "MemAvailable:\nno colon"])
def test_a_meminfo_that_cannot_be_read_is_no_limit(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    set_system(monkeypatch, {"/proc/meminfo": text})
    assert memory.available() is None


def test_nothing_known_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    set_system(monkeypatch, {})
    assert memory.available() is None
    memory.require_memory(10**18, "the history", "Compute fewer steps.")


def test_the_tightest_control_group_above_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = "/sys/fs/cgroup/slurm/job_7"
    files = {
        "/proc/meminfo": MEMINFO,
        "/proc/self/cgroup": "4:memory:/old\n0::/slurm/job_7/step_0/task_0\n",
        f"{groups}/step_0/task_0/memory.max": "max\n",
        f"{groups}/step_0/task_0/memory.current": "5\n",
        f"{groups}/memory.max": "3000\n",
        f"{groups}/memory.current": "1200\n",
        "/sys/fs/cgroup/slurm/memory.max": "9000\n",
        "/sys/fs/cgroup/slurm/memory.current": "2000\n",
    }
    set_system(monkeypatch, files)
    assert memory.available() == 1800


def test_the_limit_of_a_container_is_that_of_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/memory.max": "3000\n",
        "/sys/fs/cgroup/memory.current": "1200\n",
    }
    set_system(monkeypatch, files)
    assert memory.available() == 1800


def test_files_that_nobody_reads_do_not_count_as_used(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/cgroup": "0::/job\n",
        "/sys/fs/cgroup/job/memory.max": "3000\n",
        "/sys/fs/cgroup/job/memory.current": "2900\n",
        "/sys/fs/cgroup/job/memory.stat": "anon 100\ninactive_file 2500\nactive_file 300\n",
    }
    set_system(monkeypatch, files)
    assert memory.available() == 2600


def test_a_control_group_over_its_limit_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/cgroup": "0::/job\n",
        "/sys/fs/cgroup/job/memory.max": "3000\n",
        "/sys/fs/cgroup/job/memory.current": "3500\n",
    }
    set_system(monkeypatch, files)
    assert memory.available() == 0


@pytest.mark.parametrize("entry", ["0::/job\n", "4:memory:/job\n", ""])
def test_without_a_limit_of_version_2_the_machine_counts(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    set_system(monkeypatch, {"/proc/meminfo": MEMINFO, "/proc/self/cgroup": entry})
    assert memory.available() == 4_000_000 * 1024


def test_the_limit_of_the_address_space_counts_less_what_is_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    set_system(monkeypatch, {"/proc/meminfo": MEMINFO, "/proc/self/statm": "10 5 3 1 0 2 0\n"}, 30 * PAGE)
    assert memory.available() == 20 * PAGE
    assert memory.available(mapped=True) == 4_000_000 * 1024
    set_system(monkeypatch, {"/proc/self/statm": "40 5 3 1 0 2 0\n"}, 30 * PAGE)
    assert memory.available() == 0
    set_system(monkeypatch, {}, 30 * PAGE)
    assert memory.available() == 30 * PAGE


def test_require_says_what_needs_how_much_what_is_left_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda **_: 999)
    memory.require_memory(999, "the history", "Compute fewer steps.")
    with pytest.raises(InputError) as caught:
        memory.require_memory(1000, "the history", "Compute fewer steps.")
    assert str(caught.value) == "the history takes 1 kB, but 999 B of memory are left. Compute fewer steps."


def test_this_machine_tells_how_much_is_left() -> None:
    left = memory.available()
    assert left is None or 0 <= left < 2**60
