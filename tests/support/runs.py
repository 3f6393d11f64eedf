"""Run a problem on a communicator that the test makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.communicator import Agreement
from simsplit.rundir.directory import read_record
from simsplit.runs.api import destination_of, run_into
from simsplit.runs.description import Description
from simsplit.runs.options import RunOptions, checked_options
from simsplit.runs.run_directory import ResumedRunDirectory

if TYPE_CHECKING:
    from simsplit import Problem, Result
    from simsplit.communicator import Communicator


def execute(problem: Problem, communicator: Communicator, *, watch: Any = (), every: int = 1, **given: Any) -> Result:
    """Run it as `simsplit.run` does with these arguments, but leave the verdict to the test."""
    options = RunOptions()
    with Agreement(communicator):
        options = checked_options(**given)
    return run_into(problem, communicator, options, destination_of(options, _undescribed), watch, every)


def _undescribed() -> Description:
    return Description("", {})


def resume(problem: Problem, communicator: Communicator, output: Any, **given: Any) -> Result:
    """Resume the run in a run directory."""
    options = RunOptions()
    record: Any = None
    with Agreement(communicator):
        options = checked_options(output=output, **given)
        if communicator.rank == 0:
            record = read_record(Path(output))
    record = communicator.bcast(record)
    return run_into(problem, communicator, options, ResumedRunDirectory(str(output), options, record))
