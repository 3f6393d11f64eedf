"""Movies of grids: all kept steps, in one scale of colours; whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import Grid, InputError, OutputError, Problem, kernels, run
from simsplit.display import fields, movie
from simsplit.display.view import of_result
from simsplit.util import optional

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")
imageio = pytest.importorskip("imageio.v3")


def result_of(shape: tuple[int, ...]) -> Any:
    """Run a grid."""
    kernel = kernels.expression("x[1] + 1", kind="step")
    initial = np.random.default_rng(1).random(shape)
    return run(
        Problem(initial, kernel, delta_t=0.5, steps=7, keep="every:2", grid=Grid(boundary="periodic")), serial=True
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a pipe of imageio's to ffmpeg
@pytest.mark.parametrize("kind", ["gif", "mp4"])
@pytest.mark.parametrize("shape", [(9,), (6, 7)])
def test_a_movie_shows_every_kept_step(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    result_of(shape).movie(tmp_path / f"film.{kind}", frames_per_second=4)
    shown = imageio.imread(tmp_path / f"film.{kind}")
    assert len(shown) == 4
    assert (shown[0] != shown[-1]).any()
    assert [path.name for path in tmp_path.iterdir()] == [f"film.{kind}"]


def test_frames_have_one_size_and_one_scale() -> None:
    result = result_of((6, 7))
    pictures = list(fields.frames(fields.Fields(of_result(result), (), None)))
    assert len({picture.shape for picture in pictures}) == 1
    height, width, colours = pictures[0].shape
    assert (height % 2, width % 2, colours, pictures[0].dtype) == (0, 0, 3, np.uint8)


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def frames() -> Any:
        yield np.zeros((4, 4, 3), np.uint8)
        raise ZeroDivisionError

    (tmp_path / "film.gif").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError):
        movie.write(str(tmp_path / "film.gif"), frames(), 5.0)
    assert (tmp_path / "film.gif").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(OutputError, match="there is no such folder"):
        movie.write(str(tmp_path / "none" / "film.gif"), [], 5.0)


def test_without_imageio_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}")

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(InputError, match=r"movies need imageio .*Install it with: pip install 'simsplit\[movie\]'"):
        movie.write(str(tmp_path / "film.gif"), [], 5.0)
