"""``simsplit sweep``: one run for each row of a table of parameters, here, or by ``jobs/sweep.sbatch``, which asks it.

A column is called what the option of ``simsplit run`` is called, such as ``steps``; any other is a parameter of the
kernel. An empty cell leaves the option out. The column ``name`` gives the run directory; without it that is the
number of the row.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...communicator import launchers as launch
from ...errors import InputError, LaunchError
from ...problem_file.settings import Settings, resolve
from ...util import job_script
from ...util.formatting import pluralize, say
from ..commands.plan import estimate
from ..commands.run import read as read_problem
from ..commands.run import run_options_of
from ..parser import parse
from .job import job_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..parser import Options

_OPTIONS = sorted({*Settings.fields()} - {"parameters", "constants", "output", "digests", "origins"})
_NAME = "name"
_SHOWN = 20  # rows of a longer table are left out
_SCRIPT = Path(__file__).with_name("sweep.sbatch")


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a sweep.

    Attributes
    ----------
    name : str
        Of its run directory.
    words : list of str
        Its arguments for ``simsplit run``.
    """

    name: str
    words: list[str]


def command(options: Options) -> None:
    """Run the rows; or print them, a script, or what one of them is to that: directory, arguments. Not collective.

    Raises
    ------
    InputError
        If the table is wrong, or a run directory was made by a row with other arguments.
    SimsplitError
        If a run fails.
    """
    if options.error is not None:
        raise options.error
    table = Path(str(options.table))
    rows = read(table)
    folder = Path(options.runs or f"runs/{table.stem}")
    _require_fitting(options)
    if options.row is None:
        text = None if options.problem is None else read_problem(options.problem)
        for number, row in enumerate(rows, 1):
            try:
                _require_possible(row, options.words, text, folder, options.ranks or 1)
                if options.run and not options.overwrite:
                    _require_same(folder / row.name, [*options.words, *row.words])
            except InputError as error:
                raise InputError(f"{table}: row {number}: {error}") from None
        if options.run:
            from ..sweeps.local import run_rows

            run_rows(rows, folder, options, launch.command(shlex.join(_words("--run", options)), 1))
        elif options.script:
            say(_script(table, rows, folder, options), exact=True)
        else:
            say("\n".join(_overview(rows, folder, options)), exact=True)
        return
    if options.row > len(rows):
        raise InputError(
            f"{table} has {pluralize(len(rows), 'row')}: there is no row {options.row}. Submit: {_array(rows)}"
        )
    row = rows[options.row - 1]
    _require_same(folder / row.name, [*options.words, *row.words])
    say("\n".join([str(folder / row.name), *row.words]), exact=True)


def _require_fitting(options: Options) -> None:
    """Refuse options that do not go with others, and a launcher where the rows are to have launchers of their own."""
    if not options.run:
        if options.jobs is not None or options.ranks is not None:
            raise InputError("-j and -n are for --run, which runs the rows here")
        return
    if (launcher := launch.detect()) is not None:
        raise LaunchError(
            f"wrong launch: sweep --run starts a launcher for each row, but {launcher.name} has started it. Leave that "
            "out, and say how many ranks each row has: simsplit sweep … --run -n 4"
        )
    ranks = options.ranks or 1
    if options.expect_ranks not in (None, ranks) or (options.serial and ranks > 1):
        raise InputError(f"each row has {pluralize(ranks, 'rank')} (-n): leave out --serial and --expect-ranks")
    if options.json:
        raise InputError("--json is for one run. Leave it out: simsplit runs --json lists them all.")


def _require_possible(row: Row, words: Sequence[str], problem: str | None, folder: Path, ranks: int) -> None:
    """Refuse what would fail when it is run."""
    options = parse(["run", *words, *row.words])
    if options.error is not None:
        raise options.error
    if options.output is not None:
        raise InputError("-o: each row has a run directory of its own. Name the folder of them: --runs DIR")
    settings = resolve(options, problem).replace(output=str(folder / row.name))
    estimate(settings, run_options_of(options, settings), ranks, tried=False)


def read(path: Path) -> list[Row]:
    """Return the rows of a table, ``.csv`` or ``.toml`` with a ``[[run]]`` for each row.

    Raises
    ------
    InputError
        If it cannot be read, or makes no sense.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot read the table {path}: {reason}. Give a .csv or .toml file.") from None
    readers = {".csv": _from_csv, ".toml": _from_toml}
    if path.suffix not in readers:
        raise InputError(f"a table must end in .csv or .toml, not {str(path)!r}")
    tables = list(readers[path.suffix](text, path))
    if not tables:
        raise InputError(f"{path} has no rows. Give one for each run.")
    width = len(str(len(tables)))
    rows = [Row(*_row(cells, f"{path}: row {number}", width, number)) for number, cells in enumerate(tables, 1)]
    for number, row in enumerate(rows, 1):
        first = next(k for k, other in enumerate(rows, 1) if other.name == row.name)
        if first != number:
            raise InputError(f"{path}: rows {first} and {number} have one name, {row.name!r}. Give each its own.")
    return rows


def _from_csv(text: str, path: Path) -> Iterator[dict[str, str]]:
    import csv
    from io import StringIO

    try:
        cells = [[cell.strip() for cell in line] for line in csv.reader(StringIO(text, newline=""), strict=True)]
        header, *lines = [line for line in cells if any(line)]
    except (csv.Error, ValueError) as error:
        reason = error if isinstance(error, csv.Error) else "it is empty"
        raise InputError(f"{path}: this is not CSV: {reason}. The first line names the columns.") from None
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise InputError(
                f"{path}: row {number} has {len(line)} cells, but there are {len(header)} columns: {', '.join(header)}"
            )
    if len(set(header)) != len(header):
        raise InputError(f"{path}: two columns have one name: {', '.join(header)}")
    for line in lines:
        yield dict(zip(header, line, strict=True))


def _from_toml(text: str, path: Path) -> Iterator[dict[str, str]]:
    import tomllib

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: this is not TOML: {error or 'nested too deeply'}") from None
    runs = document.pop("run", None)
    if document or not isinstance(runs, list) or not all(isinstance(each, dict) for each in runs):
        raise InputError(f"{path}: a table of runs has a [[run]] for each of them, and nothing else")
    for number, run in enumerate(runs, 1):
        for key, value in run.items():
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise InputError(f"{path}: row {number}: `{key}` must be a number or a text, not {value!r}")
        yield {key: value if isinstance(value, str) else repr(value) for key, value in run.items()}


def _row(cells: dict[str, str], where: str, width: int, number: int) -> tuple[str, list[str]]:
    """Return name and arguments of a row."""
    name = cells.get(_NAME) or f"{number:0{width}}"
    if not re.fullmatch(r"[\w+=-][\w.,+=-]{0,199}", name):
        raise InputError(f"{where}: the name {name!r} is no good for a folder: use letters, digits and . , + = _ -")
    words = []
    for column, value in cells.items():
        if column == _NAME or not value:
            continue
        if column == "output":
            raise InputError(f"{where}: each row has a run directory of its own. Its name goes into the column `name`.")
        if not column.isidentifier():
            raise InputError(f"{where}: {column!r} is neither an option of simsplit run nor a parameter's name")
        if not value.isprintable():
            raise InputError(f"{where}: {column}: {value!r} holds what cannot be printed")
        if column in _OPTIONS:
            words.append(f"--{column.replace('_', '-')}={value}")
        else:
            words += ["--set", f"{column}={value}"]
    return name, words


def _require_same(run: Path, words: Sequence[str]) -> None:
    """Refuse a run directory that other arguments made: what is in it is not this row's result."""
    from ...rundir.directory import RECORD, read_record

    if not (run / RECORD).exists():
        return
    _, command, *made_by = shlex.split(read_record(run)["attempts"][0]["command"])
    if command != "run" or _computed_by(made_by) != _computed_by(words):
        raise InputError(
            f"{run} was made by other arguments: {shlex.join(made_by)}\nThe table now says: {shlex.join(words)}\n"
            "Remove that folder, or give the row another name."
        )


def _computed_by(words: Sequence[str]) -> list[Any]:
    """Return what arguments of ``simsplit run`` say of what is computed, and not of how."""
    options = parse(["run", *words])
    if options.error is not None:
        return list(words)
    several = (sorted(options.set), sorted(options.constant))
    return [options.problem, *several, *(getattr(options, name) for name in _OPTIONS)]


def _script(table: Path, rows: list[Row], folder: Path, options: Options) -> str:
    """Return a Slurm script for the rows: that of ``jobs/sweep.sbatch``, and of ``jobs/run.sbatch`` in one."""
    runs = [] if options.runs is None else [job_script.default("SIMSPLIT_RUNS", options.runs)]
    about = [
        f"{pluralize(len(rows), 'row')} of {table}, a part of an array job each, made by simsplit {__version__}.",
        "Submit it in the folder it was made in: paths are relative to that. Arguments of sbatch go before its name,",
        "those of `simsplit run` after it. Submit it again after a failure: what is finished is left as it is.",
        "",
        "  sbatch --ntasks=4 --time=2:00:00 sweep.sh",
        "",
        f"When all are done: simsplit collect {folder} -o table.csv --plot picture.png",
    ]
    asked = {"job-name": f"={job_name(table)}", "array": _array(rows).removeprefix("--array")}
    own = job_script.body_of(_SCRIPT).partition("# In a script that `simsplit sweep --script` prints")[0]
    body = own.rstrip("\n") + "\n" + job_script.body_of(_SCRIPT.with_name("run.sbatch"))
    return job_script.compose(_SCRIPT, about, asked, runs, [str(table), *options.words], body)


def _words(how: str, options: Options) -> list[str]:
    """Return the arguments of a command for all rows, such as ``--run``."""
    given = {"--runs": options.runs, "--jobs": options.jobs, "--ranks": options.ranks}
    more = [f"{name}={value}" for name, value in given.items() if value is not None]
    return ["sweep", str(options.table), *options.words, how, *more]


def _overview(rows: list[Row], folder: Path, options: Options) -> Iterator[str]:
    for row in rows[:_SHOWN]:
        yield f"{folder / row.name}  {shlex.join([*options.words, *row.words])}"
    if len(rows) > _SHOWN:
        yield f"…  {len(rows) - _SHOWN:,} more"
    yield f"run here  simsplit {shlex.join(_words('--run', options))}"
    yield f"submit    simsplit {shlex.join(_words('--script', options))} > sweep.sh && sbatch --ntasks=4 sweep.sh"


def _array(rows: Sequence[Any]) -> str:
    return f"--array=1-{len(rows)}%{min(4, len(rows))}"
