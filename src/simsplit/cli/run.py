"""``simsplit run``."""

from __future__ import annotations

import os
import sys
import warnings
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import kernels
from ..communicator import Agreement, connect, interrupts, launch
from ..errors import InputError, OutputError
from ..memory import require
from ..problem import NUMERIC, Problem
from ..runner import execute, require_identical
from ..text import ranks_in_short

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..runner import Result
    from .parser import Options

    Array = npt.NDArray[Any]

_DEFAULT_SIZE = 7


def command(options: Options) -> None:
    """Run a simulation as the options say. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with interrupts.held():
        _command(options)


def _command(options: Options) -> None:
    communicator = meet(options)
    with Agreement(communicator):
        initial = _initial(options) if communicator.rank == 0 else None
        problem = Problem(
            initial,
            kernels.affine(offset=options.offset, multiplier=options.multiplier),
            delta_t=options.delta_t,
            steps=options.steps,
            start_time=options.start_time,
        )
        del initial
    result = execute(problem, communicator, verify=options.verify, output=options.output)
    with Agreement(communicator):
        if communicator.rank == 0 and (options.json or not options.quiet):
            _report(options, problem, result)
    require_identical(result, communicator)


def meet(options: Options) -> Communicator:
    """Return the communicator of the command's ranks. Collective.

    Raises
    ------
    SimsplitError
        On every rank, if the options are wrong on any, or not those of rank 0.
    """
    launcher = launch.detect()
    misled = options.serial and launcher is not None and launcher.count > 1
    # A rank of many that asks for serial meets the others all the same: they would wait for it in MPI's start.
    alone = options.serial and not misled
    expected = launch.expected_ranks(options.expect_ranks) if alone else options.expect_ranks
    communicator = connect(serial=alone, expect_ranks=expected)
    with Agreement(communicator):
        if misled and launcher is not None:
            raise launch.not_serial(launcher)
        if options.error is not None:
            raise options.error
    everyone = communicator.allgather(repr(options))
    with Agreement(communicator):
        wrong = [rank for rank, text in enumerate(everyone) if text != everyone[0]]
        if wrong:
            raise InputError(
                f"the options on {ranks_in_short(wrong)} are not those of rank 0. Give every rank the same options."
            )
    return communicator


def _initial(options: Options) -> Array:
    """Return the initial array; root only."""
    dtype = None if options.dtype is None else _dtype(options.dtype)
    if options.input is None:
        size = _DEFAULT_SIZE if options.size is None else options.size
        return _counting(size, np.dtype(np.float64) if dtype is None else dtype)
    if options.output is not None and _same_file(options.input, options.output):
        raise InputError(f"--output would replace the input {options.input}. Name another file.")
    from ..store.npy import read_npy

    array = read_npy(options.input)
    if dtype is None or array.dtype.kind not in NUMERIC:  # which the problem refuses
        return array
    if not np.can_cast(array.dtype, dtype, casting="same_kind"):
        raise InputError(
            f"--dtype {options.dtype}: the {array.dtype} of {options.input} would lose more than precision"
        )
    return array.astype(dtype, copy=False)


def _dtype(name: str) -> np.dtype[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of some old names, which are refused anyway
        try:
            dtype = np.dtype(name)
        except (TypeError, ValueError, SyntaxError):
            dtype = None
    if dtype is None or dtype.kind not in NUMERIC:
        raise InputError(f"--dtype must be a numeric or complex NumPy dtype, such as float32, not {name!r}")
    return dtype


def _counting(size: int, dtype: np.dtype[Any]) -> Array:
    """Return 0 … size-1."""
    kind = dtype.kind
    greatest = {"b": 1, "i": 0, "u": 0}.get(kind)
    if greatest is None:
        greatest = 2 ** (np.finfo(dtype).nmant + 1)  # beyond it not every whole number is there
    elif kind != "b":
        greatest = int(np.iinfo(dtype).max)
    if size - 1 > greatest:
        raise InputError(f"--size {size}: {dtype} holds whole numbers to {greatest} only. Choose a wider --dtype.")
    require(size * dtype.itemsize, f"the array of --size {size}", "Choose a smaller --size, or more memory.")
    if kind == "b":
        return np.array([False, True][:size])
    return np.arange(size, dtype=dtype.newbyteorder("=")).astype(dtype, copy=False)


def _report(options: Options, problem: Problem, result: Result) -> None:
    from . import report

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # "·" and "–" are no reason to fail under an old locale
    try:
        write = report.as_json if options.json else report.as_table
        write(problem, result, options.output, sys.stdout)
        sys.stdout.flush()
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):  # whose reader had enough: `simsplit | head -1`
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error


def _same_file(one: str, other: str) -> bool:
    from pathlib import Path

    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _discard_stdout() -> None:
    """Let what stdout could not take go, or Python would complain again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
