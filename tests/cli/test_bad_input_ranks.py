"""Options, files, kernels, parameters and problem files that are wrong, on all ranks of one session.

Each case runs the whole program: every rank ends with the right exit status, one of them says why, in one
message, and nothing is left behind. The next case goes on with the same ranks, so none of them is out of step.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit.bounds import part
from simsplit.communicator import connect
from simsplit.util.formatting import format_rows
from tests.support.session import Program, as_launched

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.mpi(min_size=2), pytest.mark.timeout(60)]

MODULE = """
import numpy as np
import simsplit

def raises(x, t):
    return x / {}

def on_last_row(x, row, t):
    if 6 in row and t > 1:
        raise ValueError("row 6 is no good")
    return x * t

def nothing(x):
    x * 2

def other_shape(x):
    return x[:-1]

def writes_outside(x, t, out):
    out[...] = x
    out[len(x)] = t

def other_dtype(x, k):
    return x.astype(np.float32 if k > 2 else np.float64)

def changes_input(x):
    x += 1
    return x

def rows_with_nan(x, t):
    return np.where((x == 5) & (t > 1), np.nan, x)

def objects(x):
    return np.array([str(value) for value in x])

def other_field(x, k):
    return x if k < 3 else x[["a"]]

def ages(x, k, row, out):
    out["a"], out["b"] = np.where((row == 6) & (k == 2), np.nan, x["a"]), x["b"] + 1

def leaves(x):
    raise SystemExit(0)

def wants(x, rate, limit):
    return x * rate

class Late(simsplit.kernels.Affine):
    def __init__(self):
        raise RuntimeError("not today")

constant = 7
"""

INPUT, LAUNCH, KERNEL, OUTPUT = 2, 3, 4, 5
BAD_INPUT = [
    # options
    (["--steps", "x"], INPUT, "--steps: must be an integer of 0 or more, not 'x'"),
    (["--steps", "-1"], INPUT, "--steps: must be an integer of 0 or more, not '-1'"),
    (["--steps", "2.5"], INPUT, "--steps: must be an integer of 0 or more, not '2.5'"),
    (["--size", "-3"], INPUT, "--size: must be an integer of 0 or more, not '-3'"),
    (["--offset", "nan"], INPUT, "--offset: must be a finite number, not 'nan'"),
    (["--multiplier", "1,5"], INPUT, "--multiplier: must be a finite number, not '1,5'"),
    (["--delta-t", "1e400"], INPUT, "--delta-t: must be a finite number, not '1e400'"),
    (["--delta-t", "1e308", "--steps", "100"], INPUT, "Give a smaller delta_t or fewer steps"),
    (["--dtype", "float33"], INPUT, "--dtype must be a numeric or complex NumPy dtype, such as float32, not 'float33'"),
    (["--dtype", "object"], INPUT, "not 'object'"),
    (["--dtype", "int8", "--size", "200"], INPUT, "--size 200: int8 holds whole numbers to 127 only"),
    (["--delta_t", "1"], INPUT, "unknown argument --delta_t. Did you mean --delta-t?"),
    (["here.npy"], INPUT, "a problem file must end in .toml, not 'here.npy'"),
    (["--expect-ranks", "0"], INPUT, "--expect-ranks: must be an integer of 1 or more, not '0'"),
    (["--size", "3", "--input", "x.npy"], INPUT, "--input: not allowed with argument --size"),
    (["--output"], INPUT, "--output/-o: expected one argument"),
    # files
    (["--input", "missing.npy"], INPUT, "missing.npy: there is no such file. Give a .npy file"),
    (["--input", "."], INPUT, "it is not a regular file"),
    (["--input", "text.npy"], INPUT, "text.npy: it holds Python objects or is not a .npy file"),
    (["--input", "empty.npy"], INPUT, "empty.npy"),
    (["--input", "half.npy"], INPUT, "half.npy"),
    (["--input", "several.npz"], INPUT, "several.npz: it is an archive of several arrays"),
    (["--input", "word.npy"], INPUT, "must be of a numeric or complex dtype, not <U5"),
    (["--input", "scalar.npy"], INPUT, "must have an axis 0"),
    (["--input", "complex.npy", "--dtype", "float64"], INPUT, "would lose more than precision"),
    (["--input", "good.npy", "--output", "good.npy"], INPUT, "would replace the input"),
    (["--output", "history.txt"], INPUT, "the output must be a file that ends in .npy, .zarr, .h5"),
    (["--output", "no/folder/history.npy"], OUTPUT, "there is no folder"),
    (["--output", "folder.npy"], OUTPUT, "it is not a regular file"),
    (["--output", "folder", "--transport", "shared"], INPUT, "--transport shared is for a history on rank 0"),
    # more than there is
    (["--size", "1000000000000"], INPUT, "the array of --size 1000000000000 takes 8 TB, but"),
    (["--size", "1000", "--steps", "10000000000"], INPUT, "10,000,000,000 steps × 8 kB on rank 0 takes 80 TB"),
    # the launch
    (
        ["--expect-ranks", "5"],
        LAUNCH,
        "wrong launch: 5 ranks expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS)",
    ),
    (["--serial"], LAUNCH, "but --serial is for one"),
]
BAD_KERNELS = [
    # which kernel
    (["--kernel", "lorentz"], INPUT, "there is no kernel 'lorentz'. Did you mean lorenz? Give one of affine, gbm,"),
    (["--kernel", "lorenz"], INPUT, "a row of the kernel lorenz is (x, y, z), so the last axis must have 3 values"),
    (["--kernel", "affine", "--kind", "step"], INPUT, "the kernel affine is a map kernel, not a step kernel"),
    (["--kernel", "logistic", "--set", "speed=1"], INPUT, "has no parameter speed; it has rate, capacity"),
    (["--kernel", "logistic", "--offset", "1"], INPUT, "--offset is for the kernel affine. Use --set offset=1"),
    # expressions
    (["--kernel", "x * tt"], INPUT, "the name `tt` is not known"),
    (["--kernel", "x *"], INPUT, "the expression cannot be used"),
    (["--kernel", "x.real"], INPUT, "the expression cannot be used"),
    (["--kernel", "open(x)"], INPUT, "the expression cannot be used"),
    (["--kernel", "__import__(x)"], INPUT, "the expression cannot be used"),
    (["--kernel", "x + 9**9**9"], INPUT, "a power of constants within another is not accepted"),
    (["--kernel", "x * t", "--set", "rate=1"], INPUT, "does not use the parameter rate"),
    (["--kernel", "x * t", "--set", "t=1"], INPUT, "a parameter cannot be called t"),
    # modules
    (["--kernel", "mymodel:raises"], INPUT, "there is no module mymodel. Install it, set PYTHONPATH, or give"),
    (["--kernel", "mymodel:missing", *["--import-from", "."]], INPUT, "the module mymodel has no missing"),
    (["--kernel", "broken:f", *["--import-from", "."]], INPUT, "cannot be imported: SyntaxError"),
    (["--kernel", "unhappy:f", *["--import-from", "."]], INPUT, "cannot be imported: ZeroDivisionError"),
    (["--kernel", "mymodel:raises", *["--import-from", "nowhere"]], INPUT, "there is no folder nowhere"),
    (["--kernel", "mymodel:constant", *["--import-from", "."]], INPUT, "must be a function, a ufunc or a Kernel"),
    (["--kernel", "mymodel:Late", *["--import-from", "."]], INPUT, "RuntimeError: not today"),
    (
        ["--kernel", "mymodel:wants", *["--import-from", ".", "--set", "rate=1"]],
        INPUT,
        "wants limit, which is not given",
    ),
    (["--kernel", "mymodel:raises", *["--import-from", ".", "--set", "rate=1"]], INPUT, "has no parameter rate"),
    # parameters
    (["--set", "offset=short.npy"], INPUT, "parameter offset has the shape (3,), which does not go with the array's"),
    (["--set", "offset=missing.npy"], INPUT, "missing.npy: there is no such file"),
    (["--set", "offset=words.npy"], INPUT, "parameter offset must be a number or an array of numbers, not an array of"),
    (
        ["--set", "offset=[1,2,3]"],
        INPUT,
        "parameter offset has the shape (3,), which does not go with the array's (7,)",
    ),
    (["--set", "offset=[1,two,3]"], INPUT, "but in [1,two,3] stands 'two'"),
    (["--set", "offset=[1,2"], INPUT, "but [1,2 does not end"),
    (["--set", "offset=[[1],[2,3]]"], INPUT, "parameter offset cannot be made an array: "),
    (
        ["--input", "[1,2,x]"],
        INPUT,
        "--input must be numbers in brackets, such as [0.1, 0.2], but in [1,2,x] stands 'x'",
    ),
    (["--input", "[[1,2],[3]]"], INPUT, "input must be a .npy file or rows of one length, such as [1, 2, 3] or"),
    (["--set", "offset=nan"], INPUT, "--set offset must be a finite number, not nan"),
    (["--set", "offset"], INPUT, "--set must be NAME=VALUE, such as --set rate=0.5, not 'offset'"),
    # what a kernel does
    (["--kernel", "mymodel:raises", *["--import-from", "."]], KERNEL, "TypeError: unsupported operand type(s)"),
    (["--kernel", "mymodel:on_last_row", *["--import-from", "."]], KERNEL, "at step 3, t = 1.5, LAST_ROWS"),
    (["--kernel", "mymodel:nothing", *["--import-from", "."]], KERNEL, "returned nothing; it must return an array"),
    (["--kernel", "mymodel:other_shape", *["--import-from", "."]], KERNEL, "of shape (0,) for rows of shape (1,)"),
    (["--kernel", "mymodel:other_dtype", *["--import-from", "."]], KERNEL, "gives float32 here, but gave float64"),
    (["--kernel", "mymodel:changes_input", *["--import-from", "."]], KERNEL, "read-only"),
    (
        ["--kernel", "mymodel:writes_outside", *["--import-from", "."]],
        KERNEL,
        "IndexError: index FIRST_COUNT is out of bounds",
    ),
    (["--kernel", "mymodel:objects", *["--import-from", "."]], KERNEL, "must be a numeric or complex dtype"),
    (
        ["--input", "fields.npy"],
        INPUT,
        "computes with numbers, but the values of the array have fields, {a: float64, b:",
    ),
    (["--input", "fields.npy", "--dtype", "f4"], INPUT, "--dtype f4: the values in fields.npy have fields"),
    (
        ["--input", "texts.npy"],
        INPUT,
        "each field of initial must be of a numeric or complex dtype, not [('a', '<f8'),",
    ),
    (
        ["--input", "fields.npy", "--kernel", "mymodel:other_field", *["--import-from", "."]],
        KERNEL,
        "other_field gives {a: float64} here, but gave {a: float64, b: int32} for the first row",
    ),
    (
        [
            "--input",
            "fields.npy",
            "--kernel",
            "mymodel:ages",
            *["--import-from", ".", "--kind", "step", "--nan", "error"],
        ],
        KERNEL,
        "at step 3, t = 1.5 (from step 2, t = 1.0), LAST_ROWS:",
    ),
    (["--kernel", "mymodel:leaves", *["--import-from", "."]], KERNEL, "SystemExit"),
    (["--kernel", "mymodel:rows_with_nan", *["--import-from", ".", "--nan", "error"]], KERNEL, "the first is row 5"),
    # problem files
    (["missing.toml"], INPUT, "cannot read the problem missing.toml: No such file or directory"),
    (["wrong.toml"], INPUT, "wrong.toml: unknown key `delta_T`. Did you mean `delta_t`?"),
    (["half.toml"], INPUT, "half.toml: this is not TOML"),
    (["bytes.toml"], INPUT, "cannot read the problem bytes.toml"),
    (["parameter.toml"], INPUT, "parameter.toml: `parameters.rhoo`: the kernel lorenz has no parameter rhoo. Did you"),
    (["type.toml"], INPUT, "type.toml: `steps`: expected `int`, got `str`"),
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Make a folder that all ranks have in common, with files of every kind."""
    world = connect()
    made = tempfile.TemporaryDirectory() if world.rank == 0 else None
    folder = Path(world.bcast(None if made is None else made.name))
    if world.rank == 0:
        fill(folder)
    world.allreduce_or(0)
    yield folder
    world.allreduce_or(0)
    if made is not None:
        made.cleanup()


def fill(folder: Path) -> None:
    np.save(folder / "good.npy", np.arange(7.0))
    (folder / "text.npy").write_text("1 2 3\n")
    (folder / "empty.npy").write_bytes(b"")
    (folder / "half.npy").write_bytes((folder / "good.npy").read_bytes()[:-9])
    np.savez(folder / "several.npz", np.arange(3), np.arange(4))
    np.save(folder / "word.npy", np.array(["seven"]))
    np.save(folder / "scalar.npy", np.array(7.0))
    np.save(folder / "complex.npy", np.array([1j]))
    (folder / "folder.npy").mkdir()
    (folder / "mymodel.py").write_text(MODULE)
    (folder / "broken.py").write_text("def f(x:\n")
    (folder / "unhappy.py").write_text("1 / 0\n")
    (folder / "wrong.toml").write_text("delta_T = 1\n")
    (folder / "half.toml").write_text("delta_t =\n")
    (folder / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    (folder / "parameter.toml").write_text('kernel = "lorenz"\n[parameters]\nrhoo = 28\n')
    (folder / "type.toml").write_text('steps = "many"\n')
    np.save(folder / "short.npy", np.arange(3.0))
    np.save(folder / "fields.npy", np.zeros(7, [("a", "f8"), ("b", "i4")]))
    np.save(folder / "texts.npy", np.zeros(7, [("a", "f8"), ("b", "U4")]))
    np.save(folder / "words.npy", np.array(["a", "b", "c", "d", "e", "f", "g"]))


@pytest.fixture
def program(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Go to the folder, as ranks that a launcher has started."""
    world = connect()
    as_launched(world, monkeypatch)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])  # where python -m looks first, and a kernel must not
    for module in ("mymodel", "broken", "unhappy"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return Program(world, capsys)


def require_one_message(program: Program, words: list[str], status: int, message: str) -> None:
    """Run the program on all ranks, which must end with `status` and one message."""
    there = {path for path in Path().iterdir() if path.name != "__pycache__"}
    program.world.allreduce_or(0)  # all have looked
    first, last = (part(7, program.world.size, rank) for rank in (0, program.world.size - 1))
    message = message.replace("FIRST_COUNT", str(first[1] - first[0])).replace("LAST_ROWS", format_rows(*last))
    ended = program(*words)
    assert (ended.status, ended.out) == (status, "")
    assert message in ended.err
    assert ended.err.startswith("simsplit: ")
    assert ended.err.count("simsplit: ") == 1
    assert status == KERNEL or "Traceback" not in ended.err
    assert "/src/simsplit/" not in ended.err
    assert "site-packages/simsplit" not in ended.err
    assert {path for path in Path().iterdir() if path.name != "__pycache__"} == there


def named(cases: list[tuple[list[str], int, str]]) -> list[str]:
    return [" ".join(words) for words, _, _ in cases]


@pytest.mark.parametrize(("words", "status", "message"), BAD_INPUT, ids=named(BAD_INPUT))
def test_bad_input(program: Program, words: list[str], status: int, message: str) -> None:
    require_one_message(program, ["run", *words], status, message)


@pytest.mark.parametrize(("words", "status", "message"), BAD_KERNELS, ids=named(BAD_KERNELS))
def test_bad_kernels(program: Program, words: list[str], status: int, message: str) -> None:
    require_one_message(program, ["run", *words, "--output", "history.npy"], status, message)


@pytest.mark.parametrize(
    ("command", "message"),
    [("walk", "invalid choice: 'walk'"), ("--steps", "no command before --steps. Give one: simsplit run")],
)
def test_bad_commands(program: Program, command: str, message: str) -> None:
    require_one_message(program, [command], INPUT, message)


@pytest.mark.parametrize("value", ["three", "-1", "0", "2.5", "9" * 5000])
def test_a_bad_variable(program: Program, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SIMSPLIT_EXPECT_RANKS", value)
    message = f"SIMSPLIT_EXPECT_RANKS must be an integer of 1 or more, not '{value}'"
    require_one_message(program, [], INPUT, message)
