"""Kernels, parameters and problem files that are wrong: one message, the right exit status, all ranks gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.launching import SIMSPLIT, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch]

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

INPUT, KERNEL = 2, 4
BAD = [
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
    (["--kernel", "mymodel:on_last_row", *["--import-from", "."]], KERNEL, "at step 3, t = 1.5, row 6"),
    (["--kernel", "mymodel:nothing", *["--import-from", "."]], KERNEL, "returned nothing; it must return an array"),
    (["--kernel", "mymodel:other_shape", *["--import-from", "."]], KERNEL, "of shape (0,) for rows of shape (1,)"),
    (["--kernel", "mymodel:other_dtype", *["--import-from", "."]], KERNEL, "gives float32 here, but gave float64"),
    (["--kernel", "mymodel:changes_input", *["--import-from", "."]], KERNEL, "read-only"),
    (["--kernel", "mymodel:writes_outside", *["--import-from", "."]], KERNEL, "IndexError: index 2 is out of bounds"),
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
        "at step 3, t = 1.5 (from step 2, t = 1.0), row 6",
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
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
    return folder


@pytest.mark.parametrize(("options", "status", "message"), BAD, ids=[" ".join(options) for options, _, _ in BAD])
def test_bad_kernels(options: list[str], status: int, message: str, folder: Path) -> None:
    before = {path for path in folder.iterdir() if path.name != "__pycache__"}
    ended = run(mpiexec(4, *SIMSPLIT, "run", *options, "--output", "history.npy"), cwd=folder)
    assert message in ended.err
    assert ended.status == status
    assert ended.out == ""
    assert ended.err.count("simsplit: ") == 1
    assert "site-packages/simsplit" not in ended.err
    assert "/src/simsplit/" not in ended.err
    assert {path for path in folder.iterdir() if path.name != "__pycache__"} == before


def test_a_module_that_differs_on_one_rank_is_refused(tmp_path: Path) -> None:
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        (tmp_path / str(rank) / "mymodel.py").write_text(f"def double(x):\n    return x * 2 + {rank} * 0\n")
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy, simsplit\n"
        "from mpi4py import MPI\n"
        "def main():\n"
        "    folder = f'{__file__[:-10]}{int(MPI.COMM_WORLD.rank == 2)}'\n"
        "    kernel = simsplit.kernels.load('mymodel:double', folder=folder)\n"
        "    simsplit.run(simsplit.Problem(numpy.arange(7.0), kernel, delta_t=1, steps=2))\n"
        "simsplit.script(main)\n"
    )
    ended = run(mpiexec(4, program))
    assert ended.status == 2
    assert "the problem is not the same on all ranks: source of the kernel on rank 2 differ from rank 0" in ended.err
