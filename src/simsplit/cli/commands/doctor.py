"""``simsplit doctor``: what simsplit finds here, and what would slow or break a run."""

from __future__ import annotations

import json
import os
import platform
import sys
from contextlib import redirect_stderr
from importlib import import_module, metadata
from io import StringIO
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from ..._version import __version__
from ...backends.llvm import object_code as machine_code
from ...communicator import Agreement
from ...communicator import launchers as launch
from ...communicator.probing import ping
from ...util.formatting import format_bytes, format_ranks, pluralize, say
from ...util.memory_limits import available, shm_available
from .run import connect_ranks

if TYPE_CHECKING:
    from ..parser import Options

_OPTIONAL = ("mpi4py", "msgspec", "numba", "llvmlite", "scipy", "h5py", "zarr", "rich", "matplotlib")
_IMPORTED = ("llvmlite.binding", "numba", "h5py", "zarr", "matplotlib.figure")  # by a run, where they are installed
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_BLAS = ("blas", "mkl", "blis")  # what the names of its libraries have in them
_BLAS_THREADS = (  # what BLAS libraries call the function that tells how many threads they may start
    "scipy_openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "openblas_get_num_threads",
    "mkl_get_max_threads",
    "bli_thread_get_num_threads",
)
_LITTLE_SHARED = 256 * 2**20  # bytes of /dev/shm, which MPI libraries use for messages within a node
_SLOW_PING = 1e-3  # seconds


def command(options: Options) -> None:
    """Print what is found on all ranks. Collective.

    Raises
    ------
    SimsplitError
        On every rank, if the ranks cannot work together.
    """
    communicator = connect_ranks(options)
    with Agreement(communicator):
        mine = facts()
    everyone = communicator.allgather({**mine, "host": communicator.host, "mpi": communicator.library})
    pings = communicator.allgather(ping(communicator))
    with Agreement(communicator):
        if communicator.rank == 0:
            told = [ping for ping in pings if ping is not None]
            found = {"thread_level": communicator.thread_level, **findings(everyone, told, communicator.library)}
            say(json.dumps(found) if options.json else "\n".join(lines(found)))


def facts() -> dict[str, Any]:
    """Return what is known of this process and its node."""
    return {
        "versions": {
            "simsplit": __version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            **{name: version for name in _OPTIONAL if (version := _version(name)) is not None},
        },
        "broken": _broken(),
        "program": sys.executable,
        "cores": len(os.sched_getaffinity(0)),
        "node_cores": os.cpu_count() or 1,
        "blas_threads": _blas_threads(),
        "threads": {name: os.environ[name] for name in _THREADS if name in os.environ},
        "memory": available(),
        "shared_memory": shm_available(),
        "compiler": {"missing": machine_code.missing(), "folder": machine_code.folder()},
        "launcher": None if (launcher := launch.detect()) is None else f"{launcher.name} ({launcher.variable})",
    }


def _blas_threads() -> int | None:
    """Return how many threads the BLAS library that NumPy has loaded may start, or None if it does not tell."""
    from ctypes import CDLL

    try:
        with open("/proc/self/maps") as maps:  # noqa: PTH123, no path of a user's
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
    except OSError:
        return None
    for path in sorted(path for path in paths if any(word in path.rpartition("/")[2] for word in _BLAS)):
        try:
            library = CDLL(path)
        except OSError:
            continue
        for name in _BLAS_THREADS:
            if hasattr(library, name):
                return int(getattr(library, name)())
    return None


def _broken() -> dict[str, str]:
    """Return why those packages cannot be imported that are installed all the same."""
    found = {}
    for module in _IMPORTED:
        name = module.partition(".")[0]
        if _version(name) is not None:
            try:
                with redirect_stderr(StringIO()), catch_warnings():  # what is wrong is told below
                    simplefilter("ignore")
                    import_module(module)
            except Exception as error:  # noqa: BLE001, such as a ValueError of one that was built for another NumPy
                found[name] = str(error).partition("\n")[0] or type(error).__name__
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def findings(everyone: list[dict[str, Any]], pings: list[float], library: str | None) -> dict[str, Any]:
    """Put together what the ranks told, with what to do about it."""
    first = everyone[0]
    hosts = [each["host"] for each in everyone]
    nodes = {host: [rank for rank, at in enumerate(hosts) if at == host] for host in dict.fromkeys(hosts)}
    return {
        "versions": first["versions"],
        "not_installed": [name for name in _OPTIONAL if name not in first["versions"]],
        "mpi": library,
        "launcher": first["launcher"],
        "ranks": len(everyone),
        "nodes": {host: len(ranks) for host, ranks in nodes.items()},
        "cores": {host: everyone[ranks[0]]["node_cores"] for host, ranks in nodes.items()},
        "blas_threads": first["blas_threads"],
        "threads": first["threads"],
        "compiler": first["compiler"],
        "memory": {host: everyone[ranks[0]]["memory"] for host, ranks in nodes.items()},
        "shared_memory": {host: everyone[ranks[0]]["shared_memory"] for host, ranks in nodes.items()},
        "ping_seconds": pings,
        "warnings": [
            *_unfit(everyone),
            *_mixed(everyone),
            *(warning for host, ranks in nodes.items() for warning in _node(host, ranks, everyone)),
            *_network(pings, nodes),
        ],
    }


def _unfit(everyone: list[dict[str, Any]]) -> list[str]:
    """Find packages that cannot be imported."""
    warnings = []
    for name in dict.fromkeys(name for each in everyone for name in each["broken"]):
        ranks = [rank for rank, each in enumerate(everyone) if name in each["broken"]]
        at = everyone[ranks[0]]
        warnings.append(
            f"{name} {at['versions'].get(name, '')} is installed, but cannot be imported on {format_ranks(ranks)}: "
            f"{at['broken'][name]}. Upgrade it: pip install --upgrade {name}"
        )
    return warnings


def _mixed(everyone: list[dict[str, Any]]) -> list[str]:
    """Find versions that are not the same on all ranks."""
    warnings = []
    told = [each["versions"] | {"the MPI library": each["mpi"] or "missing"} for each in everyone]
    for name in sorted({name for versions in told for name in versions}):
        versions = [each.get(name, "missing") for each in told]
        other = [rank for rank, version in enumerate(versions) if version != versions[0]]
        if other:
            warnings.append(
                f"{name} is {versions[0]} on rank 0, but {versions[other[0]]} on {format_ranks(other)}: "
                "start all ranks from one environment"
            )
    return warnings


def _node(host: str, ranks: list[int], everyone: list[dict[str, Any]]) -> list[str]:
    """Find what is wrong on one node."""
    first = everyone[ranks[0]]
    cores, warnings = first["node_cores"], []
    if len(ranks) > cores:
        warnings.append(
            f"{pluralize(len(ranks), 'rank')} on the {pluralize(cores, 'core')} of {host}: start fewer there"
        )
    asked = first["threads"].get("OMP_NUM_THREADS", "").partition(",")[0]
    threads = first["blas_threads"] or (int(asked) if asked.isdecimal() else first["cores"])
    if len(ranks) > 1 and len(ranks) * threads > max(cores, len(ranks)):
        warnings.append(
            f"{pluralize(len(ranks), 'rank')} × {pluralize(threads, 'thread')} "
            f"on the {pluralize(cores, 'core')} of {host}: "
            f"NumPy's libraries may start too many. Set OMP_NUM_THREADS={max(1, cores // len(ranks))}"
        )
    shared = first["shared_memory"]
    if shared is not None and shared < _LITTLE_SHARED and len(ranks) > 1:
        warnings.append(
            f"/dev/shm of {host} has {format_bytes(shared)} left, which MPI libraries need for messages within a node: "
            "remove what earlier jobs left there, or enlarge it"
        )
    return warnings


def _network(pings: list[float], nodes: dict[str, list[int]]) -> list[str]:
    """Find messages that take long."""
    slowest = max(pings, default=0.0)
    if slowest < _SLOW_PING:
        return []
    reason = "more ranks than cores" if len(nodes) == 1 else "a slow network, or more ranks than cores"
    return [f"a message to a neighbour and back takes up to {slowest * 1e3:.3g} ms: {reason}"]


def lines(found: dict[str, Any]) -> list[str]:
    """Write it for people."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    limits = ", ".join(f"{name}={value}" for name, value in found["threads"].items()) or "no variable limits them"
    blas = "unknown" if found["blas_threads"] is None else found["blas_threads"]
    pings = found["ping_seconds"]
    table = [
        f"versions  {versions}",
        *([f"without   {', '.join(missing)} (optional)"] if (missing := found["not_installed"]) else []),
        f"MPI       {found['mpi'] or 'none: one process'}{_level(found)}",
        f"launcher  {found['launcher'] or 'none'}",
        f"ranks     {pluralize(found['ranks'], 'rank')} on {pluralize(len(found['nodes']), 'node')}",
        *(
            f"node      {host}: {pluralize(ranks, 'rank')} on {pluralize(found['cores'][host], 'core')}, "
            f"{_left(found['memory'][host])} of memory left, {_left(found['shared_memory'][host])} in /dev/shm"
            for host, ranks in found["nodes"].items()
        ),
        f"threads   {blas} of BLAS in each rank; {limits}",
        f"compiled  {_compiler(found['compiler'])}",
    ]
    if pings:
        table.append(f"ping      {min(pings) * 1e6:.3g}–{max(pings) * 1e6:.3g} µs between neighbours, there and back")
    table.extend(f"warning   {warning}" for warning in found["warnings"])
    if not found["warnings"]:
        table.append("all well")
    return table


def _level(found: dict[str, Any]) -> str:
    level = found.get("thread_level")
    return "" if level is None else f", thread level {level}"


def _compiler(found: dict[str, Any]) -> str:
    if found["missing"] is not None:
        return f"nothing: {found['missing']}. Install it with: pip install 'simsplit[fast]'"
    where = "nowhere" if found["folder"] is None else f"in {found['folder']}"
    return f"kernels of arithmetic, by LLVM; kept {where}"


def _left(nbytes: int | None) -> str:
    return "an unknown amount" if nbytes is None else format_bytes(nbytes)
