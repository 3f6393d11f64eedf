"""Ranks on two hosts, placed round robin: one of each host takes part in what crosses the network."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from mpi4py import MPI

from tests.support.launching import BIN, ROOT, SIMSPLIT, environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.launch

HOSTS = ["bash", str(ROOT / "tests" / "hosts.sh")]
WITHOUT_SHORTCUTS = {"UCX_TLS": "tcp,self", "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_pml": "ob1"}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two hosts in namespaces of this machine."""
    if os.geteuid() != 0:
        pytest.skip("only root can make hosts out of namespaces")
    folder = tmp_path_factory.mktemp("hosts")
    try:
        made = run([*HOSTS, "up", str(folder), "2"])
        if made.status:
            pytest.skip(f"no hosts can be made out of namespaces here: {made.err.strip()}")
        yield folder
    finally:
        run([*HOSTS, "down", str(folder)])


def on_hosts(folder: Path, *arguments: Any) -> dict[str, Any]:
    """Run simsplit on 4 ranks, on h1, h2, h1 and h2; return what it says."""
    if "Open MPI" in MPI.Get_library_version():
        placed = ["--prtemca", "plm_ssh_agent", str(folder / "launch"), "--host", "h1:2,h2:2", "--map-by", "node"]
    else:
        placed = ["-launcher-exec", str(folder / "launch"), "-hosts", "h1,h2", "-ppn", "1"]
    command = [str(BIN / "mpiexec"), *placed, "-n", "4", str(BIN / "python"), *SIMSPLIT, *map(str, arguments)]
    ended = run([*HOSTS, "on", str(folder), "h1", *command], env=environment(**WITHOUT_SHORTCUTS))
    assert ended.status == 0, ended.err
    found: dict[str, Any] = json.loads(ended.out)
    return found


@pytest.mark.parametrize("depth", [1, "auto"])
def test_neighbours_on_the_other_host_give_the_bits_of_one_process(hosts: Path, depth: object) -> None:
    found = on_hosts(
        hosts, "run", "--json", "--verify", "--kernel", "x + 0.2 * laplace(x) + 0.01 * x[-1, 1]", "--kind", "step",
        "--grid", "101x40", "--boundary", "rows=periodic", "--boundary", "columns=no-flux|fixed 1", "--steps", 60,
        "--depth", depth,
    )  # fmt: skip
    assert (found["ranks"], found["nodes"], found["identical"]) == (4, 2, True)
    assert "reach 1 × 1, depth" in found["backend"]


@pytest.mark.parametrize("transport", ["shared", "gatherv"])
@pytest.mark.parametrize("kind", ["map", "step"])
def test_ranks_placed_round_robin_give_the_bits_of_one_process(hosts: Path, kind: str, transport: str) -> None:
    found = on_hosts(
        hosts, "run", "--json", "--verify", "--transport", transport, "--kernel", "x * 1.01 + k", "--kind", kind,
        "--size", 20_001, "--steps", 50, "--reduce", "mean,std", "--keep", "every:3",
    )  # fmt: skip
    assert (found["ranks"], found["nodes"], found["identical"]) == (4, 2, True)
    assert found["transport"] == transport
    if transport == "shared":
        assert found["transport_reason"] == "4 ranks on 2 nodes"
