"""Arrays whose values have fields, on 1 to 4 ranks: the same bits as from one process, whatever the padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, Problem, VerificationError, kernels
from simsplit.kernels.registry import BUILT_IN
from simsplit.util.dtypes import packed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    Array = npt.NDArray[Any]

pytestmark = pytest.mark.mpi

FIELDS: list[Any] = [("id", "i4"), ("x", "f8"), ("v", "f4", (2,)), ("inner", [("alive", "?"), ("z", "c8")])]
LAYOUTS = {
    "packed": np.dtype(FIELDS),
    "aligned": np.dtype(FIELDS, align=True),
    "other byte order": np.dtype(FIELDS, align=True).newbyteorder(">"),
    "unordered": np.dtype({"names": ["x", "word"], "formats": ["f8", "u4"], "offsets": [9, 2], "itemsize": 20}),
}


@pytest.fixture
def comm() -> Intracomm:
    from mpi4py import MPI

    return MPI.COMM_WORLD


def start(dtype: np.dtype[Any], shape: tuple[int, ...] = (11,), garbage: int = 0xC3) -> Array:
    """Return values of all kinds, and bytes between them that mean nothing."""
    array = np.empty(shape, dtype)
    array.view(np.uint8)[...] = garbage
    count = np.arange(array.size).reshape(shape)
    if "id" not in (dtype.names or ()):
        array["x"], array["word"] = count + 0.25, count
        return array
    array["id"], array["x"] = count, count * 0.1
    array["v"] = np.stack([count, -count], axis=-1)
    array["inner"]["alive"] = count % 2
    array["inner"]["z"] = count * 1j
    return array


def ages(x: Array, t: float, rate: Any = 1.0) -> Array:
    """Change the fields, and keep the dtype."""
    result = np.empty_like(x)
    for name in x.dtype.names or ():
        result[name] = x[name]
    result["x"] = x["x"] * (1 + rate * t)
    return result


def moves(x: Array, delta_t: float, out: Array) -> None:
    """Write to the fields of `out`."""
    out["id"] = x["id"]
    out["x"] = x["x"] + x["v"][..., 0] * delta_t
    out["v"] = x["v"] * np.float32(0.9)
    out["inner"]["alive"] = ~x["inner"]["alive"]
    out["inner"]["z"] = x["inner"]["z"] * 1j


def run(comm: Intracomm, initial: Array, kernel: Any, steps: int = 6, **options: Any) -> simsplit.Result:
    problem = Problem(initial if comm.rank == 0 else None, kernel, delta_t=0.3, steps=steps, **options)
    return simsplit.run(problem, comm=comm, verify=True)


@pytest.mark.parametrize("shape", [(1,), (3,), (11,), (5, 2), (0,), (4, 0)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_map_kernel_gives_the_same_in_every_layout(comm: Intracomm, layout: str, shape: tuple[int, ...]) -> None:
    dtype = LAYOUTS[layout]
    result = run(comm, start(dtype, shape), kernels.function(ages))
    assert result.verification is not None
    assert result.verification.identical
    if result.history is not None:
        expected = start(dtype, shape)
        assert result.history.dtype == packed(dtype.newbyteorder("="))
        assert result.history.shape == (6, *shape)
        for k in range(6):
            found = result.history[k]
            assert found["x"].tobytes() == (expected["x"].astype("f8") * (1 + 1.0 * (k * 0.3))).tobytes()
            for name in set(dtype.names or ()) - {"x"}:
                assert found[name].tolist() == expected[name].tolist()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("layout", ["packed", "aligned", "other byte order"])
def test_a_step_kernel_writes_fields_of_out(comm: Intracomm, layout: str, order: Any) -> None:
    initial = np.asarray(start(LAYOUTS[layout], (7, 3)), order=order)
    result = run(comm, initial, kernels.function(moves, kind="step"))
    assert result.verification is not None
    assert str(result.verification) == "identical: 6 of 6 steps, 126 of 126 values, bit for bit"
    if result.history is not None:
        state = start(LAYOUTS["packed"], (7, 3))
        for found in result.history:
            assert found.tobytes() == state.tobytes()
            following = np.empty_like(state)
            moves(state, 0.3, following)
            state = following


def test_what_lies_between_the_fields_makes_no_difference(comm: Intracomm, mpi_tmp_path: Path) -> None:
    texts = []
    for number, garbage in enumerate((0x00, 0xFF)):
        file = mpi_tmp_path / f"{number}.npy"
        problem = Problem(start(LAYOUTS["aligned"], garbage=garbage), kernels.function(ages), delta_t=0.3, steps=3)
        simsplit.run(problem, comm=comm, output=file)
        texts.append(file.read_bytes() if comm.rank == 0 else b"")
    assert texts[0] == texts[1]
    if comm.rank == 0:
        assert np.load(mpi_tmp_path / "0.npy").dtype == LAYOUTS["packed"]


def test_record_arrays_and_parameters_by_row(comm: Intracomm) -> None:
    initial = start(LAYOUTS["packed"]).view(np.recarray)
    rate = np.linspace(0, 1, 11) if comm.rank == 0 else None
    result = run(comm, initial, kernels.function(ages, rate=rate))
    if result.history is not None:
        assert rate is not None
        assert result.history[2]["x"].tobytes() == (initial["x"] * (1 + rate * 0.6)).tobytes()


def test_fields_may_become_numbers_and_numbers_fields(comm: Intracomm) -> None:
    result = run(comm, start(LAYOUTS["aligned"]), kernels.function(lambda x, t: x["x"] * t, name="one"))
    if result.history is not None:
        assert (result.history.dtype, result.history.shape) == (np.float64, (6, 11))

    def both(x: Array) -> Array:
        made = np.empty(x.shape, np.dtype([("twice", "f4"), ("half", "f8")], align=True))
        made["twice"], made["half"] = 2 * x, x / 2
        return made

    result = run(comm, np.arange(5.0), kernels.function(both))
    if result.history is not None:
        assert result.history.dtype == np.dtype([("twice", "f4"), ("half", "f8")])
        assert result.history[1]["half"].tolist() == [0, 0.5, 1, 1.5, 2]


def test_a_field_that_is_not_a_number_ends_the_run_if_it_is_to(comm: Intracomm) -> None:
    def spoils(x: Array, t: float, row: Array) -> Array:
        result = ages(x, t)
        result["v"][(row == 4) & (t > 0.5), 1] = np.nan
        return result

    with pytest.raises(KernelError, match="1 of these rows are not a number, the first is row 4") as caught:
        run(comm, start(LAYOUTS["aligned"]), kernels.function(spoils), nan="error")
    assert "at step 2, t = 0.6" in str(caught.value)


@pytest.mark.mpi(min_size=2)
def test_a_field_that_mixes_rows_is_found_out_with_its_distance(comm: Intracomm) -> None:
    def mixes(x: Array) -> Array:
        result = ages(x, 0)
        result["v"][..., 0] = x["v"][..., 0] * np.float32(1 + 2**-23 * (len(x) > 1))
        return result

    initial = start(LAYOUTS["aligned"], (2 * comm.size + 1,))
    with pytest.raises(
        VerificationError, match=r"DIFFERENT: \d+ of \d+ values in 6 of 6 steps, .* at most 1 ulp apart"
    ):
        run(comm, initial, kernels.function(mixes))


def test_a_field_of_another_dtype_in_a_later_step_is_an_error_that_names_both(comm: Intracomm) -> None:
    def changes(x: Array, k: int) -> Array:
        return x.astype([("a", "f8" if k < 3 else "f4")])

    with pytest.raises(KernelError, match=r"changes gives {a: float32} here, but gave {a: float64} for the first row"):
        run(comm, np.zeros(5, [("a", "f8")]), kernels.function(changes))


@pytest.mark.parametrize("kernel", [*BUILT_IN, "x * t"])
def test_kernels_that_compute_with_numbers_refuse_fields(comm: Intracomm, kernel: str) -> None:
    with pytest.raises(InputError) as caught:
        run(comm, np.zeros(5, "f8,i4"), kernels.load(kernel))
    assert "computes with numbers, but the values of the array have fields, {f0: float64, f1: int32}." in str(
        caught.value
    )
