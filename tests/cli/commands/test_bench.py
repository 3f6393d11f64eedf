"""What ``simsplit bench`` says, in one process."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import simsplit.util.memory_limits
from simsplit import InputError
from simsplit.backends.llvm import object_code as machine_code
from simsplit.cli import main
from simsplit.cli.bench import measure as measuring
from simsplit.cli.commands import bench
from simsplit.communicator import connect

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ("bench", "--size", "1000", "--steps", "3", "--rounds", "2", "--serial")
OURS = [f"simsplit, gatherv, {name}" for name in (["numpy"] if machine_code.missing() else ["numpy", "numba"])]


def test_it_measures_all_there_is_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["steps"], found["rounds"], found["bytes"]) == (1000, 3, 2, 24000)
    assert list(found["programs"]) == ["fill", "fill, fresh", "one process", *OURS]
    for each in found["programs"].values():
        assert len(each["seconds"]) == 2
        assert min(each["seconds"]) <= each["median"] <= max(each["seconds"])
        assert each["bytes_per_second"] == pytest.approx(24000 / each["median"])
        assert each["of_ceiling"] == pytest.approx(found["programs"]["fill"]["median"] / each["median"])
        assert each["times_plain"] is None
    assert found["programs"][OURS[-1]]["arithmetic"].startswith("NumPy" if machine_code.missing() else "numba (affine")
    assert 0 <= found["programs"][OURS[0]]["communication"] < 1
    assert [(each["kind"], each["ranks"], each["rows"]) for each in found["scaling"]] == [
        ("strong", 1, 1000),
        ("weak", 1, 1000),
    ]
    for each in found["scaling"]:
        assert each["simsplit_speedup"] == each["simsplit_steps_speedup"] == 1
        assert 0 < each["simsplit_steps"] < each["simsplit"]


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    main(SMALL)
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"simsplit \S+ · 3 steps × 1,000 float64, 24 kB · 1 rank on 1 node · no MPI · medians of 2 rounds", out[0]
    )
    assert re.fullmatch(r"fill +\S+ +\S+ +1\.00 +memset", out[3])
    for name, line in zip(OURS, out[6:], strict=False):
        assert re.fullmatch(rf"{name} +\S+ +\S+ +\S+ +\d+%  \S.*", line)
    assert re.split(r"  +", out[7 + len(OURS)]) == ["scaling", "ranks", "rows", "fill", "simsplit", "its steps"]
    for kind, line in zip(("strong", "weak"), out[8 + len(OURS) :], strict=False):
        assert re.fullmatch(rf"{kind} +1 +1,000 +× 1\.00 +× 1\.00 +× 1\.00", line)


def test_the_table_says_what_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    main(SMALL)
    _, _, legend = capsys.readouterr().out.rpartition("\n\n")
    explained = {
        term for terms in re.findall(r"(?:^|; )([^:;\n]+):", legend, re.MULTILINE) for term in terms.split(", ")
    }
    assert {"ms", "GB/s", "of fill", "× plain", "fill", "fresh", "one process", "plain MPI"} < explained
    assert {"simsplit", "scaling", "strong", "its steps"} < explained


def test_the_steps_are_counted_apart_from_the_run() -> None:
    measured = measuring.Measured("simsplit", 800)
    rounds = iter([(0.5, 9.0), (0.25, 2.0), (0.75, 4.0)])  # the first is a warm-up

    def program() -> measuring.Once:
        communication, steps = next(rounds)
        return measuring.Once("NumPy", communication, steps=steps)

    for number in range(3):
        measuring._measure(connect(serial=True), program, measured, measuring.Measured("fill", 800), count=number > 0)
    assert (measured.steps, measured.communication, measured.text) == ([2.0, 4.0], [0.25, 0.75], "NumPy")
    assert len(measured.seconds) == 2


def test_scaling_is_told_in_the_work_of_one_rank() -> None:
    scaled = [
        {"kind": "strong", "ranks": 1, "rows": 100, "fill": 4.0, "simsplit": 6.0, "simsplit_steps": 5.0},
        {"kind": "strong", "ranks": 2, "rows": 100, "fill": 2.0, "simsplit": 4.0, "simsplit_steps": 2.5},
        {"kind": "weak", "ranks": 1, "rows": 50, "fill": 2.0, "simsplit": 3.0, "simsplit_steps": 2.5},
        {"kind": "weak", "ranks": 2, "rows": 100, "fill": 2.0, "simsplit": 4.0, "simsplit_steps": 2.5},
    ]
    found = [bench._compared(each, scaled) for each in scaled]
    assert [each["fill_speedup"] for each in found] == [1, 2, 1, 2]
    assert [each["simsplit_speedup"] for each in found] == [1, 1.5, 1, 1.5]
    assert [each["simsplit_steps_speedup"] for each in found] == [1, 2, 1, 2]


def test_what_does_not_fit_is_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simsplit.util.memory_limits, "available", lambda **_: 10**5)
    with pytest.raises(InputError, match=r"measuring on this rank takes \S+ .B, but 100 kB of memory are left.*--size"):
        main(["bench", "--size", "10000", "--serial"])


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    main([*SMALL, "--plot", str(tmp_path / "bench.png")])
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_picture_that_cannot_be_drawn_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, reason in ((tmp_path / "b.jpg", "ends in .png"), (tmp_path / "no" / "b.png", "there is no folder")):
        with pytest.raises(InputError, match=reason):
            main([*SMALL, "--plot", str(path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'simsplit\[plot\]'"):
        main([*SMALL, "--plot", str(tmp_path / "b.png")])
