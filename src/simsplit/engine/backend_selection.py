"""Select the backend of a run: NumPy, or compiled code.

The compiled loop gives NumPy's bits (see `backends.llvm`), so that what is weighed is time. All ranks must
decide alike, and one rank of each kind of machine compiles for all: it looks on disk first, and what it has
goes to the others in a message, so that the file system sees one reader and one writer.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..communicator import Agreement
from ..errors import InputError
from ..util.formatting import format_bytes
from ..util.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backends.llvm import CompiledKernel, LoopSpec
    from ..communicator import Communicator
    from .interfaces import HistorySink
    from .local_part import LocalPart
    from .plan import Plan

Name = Literal["auto", "numpy", "numba"]

# When a compiler pays. Measured on a 2-core x86-64 machine, and rounded to the side of NumPy:
GAIN = 3e-11  # seconds for each byte of results and each operation; from 3e-11 (affine) to 13e-11 (lorenz)
LOADING = 0.05  # seconds: to import llvmlite 0.03, to write down the operations, to look on disk, to load the code
LOADING_AGAIN = 0.015  # the same in a process that has used compiled code before
SMALLEST = 4 * 2**20  # bytes of a rank's results: for less nothing is asked; 100 operations a value could not pay

STREAM = 64 * 2**20  # bytes of a history that no cache holds: results that stay there are written past the caches
BLOCK = 2 * 2**20  # bytes that compiled code is given at a time: it has blocks of its own, and a call costs 15 µs


class Backend(Record):
    """What was taken.

    Attributes
    ----------
    text : str
        What, and why, for people: "numba (affine, 640 MB)", with the bytes that are computed, or "NumPy: …".
    advance : callable or None
        What computes in place of `Kernel.advance`.
    """

    text: str
    advance: Callable[..., None] | None = None


class _NotApplicableError(Exception):
    """Why NumPy is taken, on this rank."""


def validate_name(name: Any) -> Name:
    """Return the name of a backend.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in get_args(Name):
        raise InputError(f'backend must be "auto", "numpy" or "numba", not {name!r}')
    found: Name = name
    return found


def select_backend(
    communicator: Communicator, plan: Plan, rows: LocalPart, receiver: HistorySink, name: Name
) -> Backend:
    """Choose who computes the steps. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : LocalPart
        This rank's.
    receiver : HistorySink
        Where the results go.
    name : {"auto", "numpy", "numba"}
        "auto" takes compiled code where its bits are NumPy's and it pays; "numba" wherever it can be had.

    Raises
    ------
    InputError
        On every rank, if "numba" is asked for and cannot be had on any.
    """
    kernel = rows.problem.kernel
    if getattr(kernel, "is_numba", False):
        return Backend(f"numba ({kernel.name} is a function of Numba's)")
    if name == "numpy":
        return Backend("NumPy, as asked for")
    every = kernel.kind == "step" or bool(rows.problem.reduce)  # also those that are not kept
    nbytes = (plan.steps if every else len(plan.kept)) * plan.shape[0] * plan.history_row_nbytes
    work = nbytes // plan.ranks
    if name == "auto" and work < SMALLEST:
        return Backend("NumPy: too small to pay for a compiler")
    code, reason = _common_code(communicator, plan, rows, name, work)
    if code is None:
        if name == "numba":
            with Agreement(communicator):
                raise InputError(f"the backend numba cannot be used: {reason}. {_remedy(reason)}")
        return Backend(f"NumPy: {reason}")
    read_again = rows.problem.reduce or (every and len(plan.kept) < plan.steps)
    stream = receiver.in_place and not read_again and plan.history_nbytes >= STREAM
    library = f"; {', '.join(code.inexact)} of the C library" if code.inexact else ""
    text = f"numba ({kernel.name}, {format_bytes(nbytes)}{library})"
    return Backend(text, partial(code.advance, stream=stream))


def _remedy(reason: str) -> str:
    if "not installed" in reason:
        return "Install it with: pip install 'simsplit[fast]'"
    if "reads neighbours" in reason:
        return "Give --backend auto"
    return "Give --backend auto, or a kernel that is built in, an expression, or a function compiled by numba.njit"


def _common_code(
    communicator: Communicator, plan: Plan, rows: LocalPart, name: Name, work: int
) -> tuple[CompiledKernel | None, str]:
    """Return the code for this rank's machine, or None on every rank, and why. Collective."""
    loop, text, mine = None, "", ("", "")
    with Agreement(communicator):
        try:
            loop, text, key = _trace(plan, rows, exact=name == "auto")
            mine = (key, "")
        except _NotApplicableError as why:
            mine = ("", str(why))
    everyone = communicator.allgather(mine)
    reasons = [reason for _, reason in everyone if reason]
    if reasons or loop is None:
        return None, reasons[0]
    keys = [key for key, _ in everyone]
    own: tuple[bytes | None, str] | None = None
    with Agreement(communicator):
        if mine[0] not in keys[communicator.rank + 1 :]:  # the last rank of its kind: root has enough to do and to hold
            own = _code(loop, text, mine[0], work, name)
    codes = {key: each for key, each in zip(keys, communicator.allgather(own), strict=True) if each is not None}
    reasons = [reason for code, reason in codes.values() if code is None]
    if reasons:
        return None, reasons[0]
    compiled, passes_self_test = None, False
    with Agreement(communicator):
        compiled, passes_self_test = _loaded(plan, rows, loop, codes[mine[0]][0])
    if name == "auto" and communicator.allreduce_or(int(not passes_self_test)):
        return None, "the compiled code gives other bits on this machine"
    return compiled, ""


def _trace(plan: Plan, rows: LocalPart, *, exact: bool) -> tuple[LoopSpec, str, str]:
    """Return what is to be compiled, its assembly and what stands for its code on this machine."""
    from ..backends.llvm import NotCompilable, assembly, inexact, traced
    from ..backends.llvm import object_code as machine_code

    if (missing := machine_code.missing()) is not None:
        raise _NotApplicableError(missing)
    kernel = rows.problem.kernel
    dtype = plan.history_dtype if kernel.kind == "step" else plan.dtype.newbyteorder("=")
    block = rows.block(0, rows.first, rows.first, rows.parameters(rows.first, rows.first))
    try:
        loop = traced(kernel, np.empty((0, *plan.shape[1:]), dtype), block, plan.history_dtype)
        if exact and (functions := inexact(loop)):
            raise _NotApplicableError(f"{functions[0]} may differ in the last bit")
        text = assembly(loop)
    except NotCompilable as why:
        raise _NotApplicableError(str(why)) from why
    return loop, text, machine_code.key(text)


def _code(loop: LoopSpec, text: str, key: str, work: int, name: Name) -> tuple[bytes | None, str]:
    """Return the code, found or compiled, or None and why not."""
    from ..backends.llvm import count_operations
    from ..backends.llvm import object_code as machine_code

    gain = GAIN * work * count_operations(loop)
    if name == "auto" and gain < (LOADING_AGAIN if "llvmlite" in sys.modules else LOADING):
        return None, "too small to pay for a compiler"
    code = machine_code.kept(key)
    if code is None:  # to compile takes as long again, and pays in the second run if not in the first
        try:
            code = machine_code.compiled(text)
        except Exception as error:  # whatever it is: NumPy can do it
            if name == "numba":
                raise
            return None, f"the compiler failed: {type(error).__name__}: {error}"
        machine_code.keep(key, code)
    return code, ""


def _loaded(plan: Plan, rows: LocalPart, loop: LoopSpec, code: bytes | None) -> tuple[CompiledKernel, bool]:
    """Return the code, loaded, and whether it gives NumPy's bits for some values that are easily confused."""
    from ..backends.llvm import CompiledKernel, passes_self_test

    assert code is not None  # noqa: S101, for the type checker
    problem = rows.problem
    compiled = CompiledKernel(problem.kernel, loop, code)
    computed = plan.steps - 1 if problem.kernel.kind == "step" else plan.steps  # a kernel may fail at the next
    times = [problem.time(k) for k in range(min(2, max(1, computed)))]
    block = rows.block(0, rows.first, rows.first, rows.parameters(rows.first, rows.first))
    return compiled, passes_self_test(compiled, plan.shape[1:], block, times)
