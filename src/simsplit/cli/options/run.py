"""The options of a run on the command line, made of the table of options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...options import BY_NAME, LONG, OTHER, PROBLEM, RANKS, RESULTS, SPEED, TABLE, Option
from ...util.validation import user_path
from .types import count_or_auto, duration, finite, integer, interval, yes_or_no

if TYPE_CHECKING:
    from argparse import ArgumentParser, _ActionsContainer

_READS = {"path": user_path, "number": finite, "duration": duration, "interval": interval, "yes or no": yes_or_no}
_EXCLUSIVE = {"size": 0, "input": 0, "steps": 1, "until": 1}  # of each set only one may be given


def add_verify(parser: ArgumentParser) -> None:
    """Add the options that say what is simulated, what becomes of the results, and on which ranks."""
    parser.add_argument(
        "problem", nargs="?", type=user_path, metavar="PROBLEM.toml", help="a file; options override what it says"
    )
    _add_groups(parser, PROBLEM, RESULTS, RANKS, SPEED)


def add_run(parser: ArgumentParser) -> None:
    """Add all options of a run."""
    add_verify(parser)
    _add_groups(parser, LONG)
    _add_group(parser, OTHER)


def add_resume(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit resume`` but for the folder."""
    _add(parser, "accept_changes", help="go on though the problem, its files or the kernel were changed")
    _add(parser, "quiet")
    _add(parser, "json", help="print one JSON object instead of a summary")
    long = parser.add_argument_group("long runs")
    for name in ("check_rows", "depth", "checkpoint_every", "time_limit", "hang_after"):
        _add(long, name)
    _add(parser, "progress")
    _add(parser, "progress_every")
    add_ranks(parser)


def add_ranks(parser: ArgumentParser) -> None:
    """Add the options on the ranks."""
    _add_groups(parser, RANKS)


def _add_groups(parser: ArgumentParser, *titles: str) -> None:
    for title in titles:
        _add_group(parser.add_argument_group(title), title)


def _add_group(target: _ActionsContainer, title: str) -> None:
    exclusive: dict[int, _ActionsContainer] = {}
    for option in TABLE:
        if option.group == title:
            number, place = _EXCLUSIVE.get(option.name), target
            if number is not None:
                place = exclusive.get(number) or target.add_mutually_exclusive_group()
                exclusive[number] = place
            _add(place, option.name)


def _add(target: _ActionsContainer, name: str, **changes: Any) -> None:
    """Add an option to a parser or a group of one."""
    option = BY_NAME[name]
    names = [option.spelled] if option.short is None else [option.spelled, option.short]
    target.add_argument(*names, **_how(option) | {"help": option.help} | changes)


def _how(option: Option) -> dict[str, Any]:
    """Return what argparse is told of an option."""
    if option.type == "flag":
        return {"action": "store_true"}
    if option.type == "several":
        return {"action": "append", "default": [], "metavar": option.metavar}
    if option.type == "choice":
        return {"choices": option.choices}
    read: Any = integer(option.least) if option.type == "integer" else _READS.get(option.type)
    if option.type == "count":
        read = count_or_auto(option.least)
    return {"metavar": option.metavar} | ({} if read is None else {"type": read})
