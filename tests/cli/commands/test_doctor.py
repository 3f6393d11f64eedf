"""``simsplit doctor``: what is found, and what to do about it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from simsplit.cli import main
from simsplit.cli.commands import doctor
from simsplit.cli.commands.doctor import facts, findings, lines
from tests.support.environment import forget_launchers
from tests.support.launching import environment, run

if TYPE_CHECKING:
    from pathlib import Path


def node(host: str = "c1", **changes: Any) -> dict[str, Any]:
    """Return what a rank on a good node tells."""
    return {
        "host": host,
        "versions": {"NumPy": "2.4.6"},
        "broken": {},
        "cores": 1,
        "node_cores": 4,
        "blas_threads": None,
        "threads": {},
        "compiler": {"missing": None, "folder": "/home/me/.cache/simsplit"},
        "memory": 10**9,
        "shared_memory": 10**9,
        "launcher": "mpiexec (PMI_SIZE)",
        "mpi": "MPICH 5.0.2",
        **changes,
    }


def test_it_tells_of_one_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    forget_launchers(monkeypatch)
    assert main(["doctor", "--serial", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ranks"], found["mpi"], found["launcher"], found["ping_seconds"]) == (1, None, None, [])
    assert found["thread_level"] is None
    assert {"simsplit", "Python", "NumPy", "mpi4py"} <= set(found["versions"])
    assert main(["doctor", "--serial"]) == 0
    assert "ranks     1 rank on 1 node\n" in capsys.readouterr().out


def test_where_all_is_well_it_says_so() -> None:
    found = findings([node(), node(), node("c2")], [2e-6, 3e-6], "MPICH 5.0.2")
    assert found["warnings"] == []
    assert found["nodes"] == {"c1": 2, "c2": 1}
    assert {"numba", "zarr"} <= {*found["not_installed"]}
    text = lines(found)
    assert text[1] == "without   mpi4py, msgspec, numba, llvmlite, scipy, h5py, zarr, rich, matplotlib (optional)"
    assert "ranks     3 ranks on 2 nodes" in text
    assert "ping      2–3 µs between neighbours, there and back" in text
    assert "compiled  kernels of arithmetic, by LLVM; kept in /home/me/.cache/simsplit" in text
    assert text[-1] == "all well"


@pytest.mark.parametrize(
    ("everyone", "pings", "warning"),
    [
        ([node()] * 5, [], "5 ranks on the 4 cores of c1: start fewer there"),
        (
            [node(), node(versions={"NumPy": "2.4.6"}, broken={"h5py": "numpy.dtype size changed"})],
            [],
            "is installed, but cannot be imported on rank 1: numpy.dtype size changed. Upgrade it: pip",
        ),
        ([node(cores=4)] * 2, [], "NumPy's libraries may start too many. Set OMP_NUM_THREADS=2"),
        ([node(threads={"OMP_NUM_THREADS": "3"})] * 2, [], "2 ranks × 3 threads on the 4 cores of c1"),
        ([node(), node(versions={"NumPy": "1.26"})], [], "NumPy is 2.4.6 on rank 0, but 1.26 on rank 1: start all"),
        ([node(), node(mpi="MPICH 4.3.0")], [], "the MPI library is MPICH 5.0.2 on rank 0, but MPICH 4.3.0 on rank 1"),
        ([node(blas_threads=4)] * 2, [], "2 ranks × 4 threads on the 4 cores of c1"),
        ([node(), node(versions={})], [], "NumPy is 2.4.6 on rank 0, but missing on rank 1"),
        ([node(shared_memory=10**6)] * 2, [], "/dev/shm of c1 has 1 MB left"),
        ([node()] * 2, [0.02], "a message to a neighbour and back takes up to 20 ms: more ranks than cores"),
        ([node(), node("c2")], [0.02], "a slow network, or more ranks than cores"),
    ],
)  # fmt: skip
def test_what_slows_or_breaks_runs_comes_with_a_cure(
    everyone: list[dict[str, Any]], pings: list[float], warning: str
) -> None:
    warnings = findings(everyone, pings, "MPICH 5.0.2")["warnings"]
    assert len(warnings) == 1
    assert warning in warnings[0]
    assert lines(findings(everyone, pings, None))[-1] == f"warning   {warnings[0]}"


def test_a_package_that_cannot_be_imported_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h5py.py").write_text("raise ValueError('numpy.dtype size changed\\nand more')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "h5py", raising=False)
    monkeypatch.setattr(doctor, "_version", {"h5py": "3.10.0"}.get)
    assert facts()["broken"] == {"h5py": "numpy.dtype size changed"}
    monkeypatch.setattr(doctor, "_version", {}.get)
    assert facts()["broken"] == {}


def test_it_says_what_compiled_kernels_take() -> None:
    for compiler, said in (
        ({"missing": "numba is not installed"}, "nothing: numba is not installed. Install it with: pip install"),
        ({"missing": None, "folder": None}, "kernels of arithmetic, by LLVM; kept nowhere"),
    ):
        assert any(said in line for line in lines(findings([node(compiler=compiler)], [], None)))


@pytest.mark.parametrize("asked", [1, 2])
def test_the_threads_of_blas_are_those_that_it_would_start(asked: int) -> None:
    code = "from simsplit.cli.commands.doctor import facts; print(facts()['blas_threads'])"
    told = run(
        [sys.executable, "-c", code], env=environment(OMP_NUM_THREADS=str(asked), OPENBLAS_NUM_THREADS=str(asked))
    )
    assert told.status == 0
    assert told.out in (f"{asked}\n", "1\n")  # no more than there are cores


def test_facts_can_be_told_in_json() -> None:
    assert json.loads(json.dumps(facts()))["node_cores"] >= 1
