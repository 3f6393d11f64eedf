"""Movies of grids, by imageio (extra ``movie``)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..util import durable as disk
from ..util import optional as extras

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

KINDS = (".gif", ".mp4")
_NEEDS = "movies need imageio"


def kind_of(path: str) -> str:
    """Return the ending of the file of a movie.

    Raises
    ------
    InputError
        If it is of no kind that is known.
    """
    kind = Path(path).suffix.lower()
    if kind not in KINDS:
        raise InputError(f"--movie must be a file that ends in {' or '.join(KINDS)}, not {path!r}")
    return kind


def write(path: str, frames: Iterable[npt.NDArray[Any]], per_second: float) -> None:
    """Write a movie; it appears whole or not at all.

    Parameters
    ----------
    path : str
        Ends in ``.gif`` or ``.mp4``.
    frames : iterable of ndarray of uint8, shape (height, width, 3)
        All of the same even size.
    per_second : float
        How many are shown in a second.

    Raises
    ------
    InputError
        If imageio is missing.
    OutputError
        If the file cannot be written.
    """
    kind = kind_of(path)
    imageio = extras.import_optional("imageio", _NEEDS, "movie")
    options: dict[str, Any] = {"duration": 1000 / per_second, "loop": 0}
    if kind == ".mp4":
        extras.import_optional("imageio_ffmpeg", "movies in .mp4 need imageio-ffmpeg", "movie")
        options = {"fps": per_second, "macro_block_size": 2}
    target = Path(path).absolute()
    with disk.as_output_error(path, "Name a file in a writable folder."):
        if not target.parent.is_dir():
            raise FileNotFoundError(2, "there is no such folder", str(target.parent))
        with TemporaryDirectory(prefix=f".{target.stem}.", dir=target.parent) as folder:
            written = Path(folder) / f"movie{kind}"
            with imageio.get_writer(written, **options) as writer:
                for frame in frames:
                    writer.append_data(frame)
            disk.rename(written, target)
