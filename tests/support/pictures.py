"""Runs that are drawn, and the figures that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsplit.cli import main
from simsplit.display import figure

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def drawn(capsys: pytest.CaptureFixture[str], *options: str, format: str = "npy") -> list[str]:  # noqa: A002
    """Run and draw; return what is printed of the picture."""
    main(["run", "--serial", "--quiet", "--format", format, "-o", "a", *options])
    capsys.readouterr()
    assert main(["plot", "a", "-o", "a.png"]) == 0
    return capsys.readouterr().out.splitlines()


def last_figure(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Return a function that gives the figure that was saved last."""
    found: list[Any] = []
    saved = figure.save

    def save(drawn: Any, output: Any) -> None:
        found.append(drawn)
        saved(drawn, output)

    monkeypatch.setattr(figure, "save", save)
    return found.pop


def words(legends: list[Any]) -> list[str]:
    """Return what the legends of a figure, or the one of axes, say."""
    return [text.get_text() for legend in legends for text in legend.get_texts()]
