"""A small table as HTML, for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def table(title: str, rows: Mapping[str, Any], picture: str = "") -> str:
    """Return a small table as HTML, with a picture below."""
    from html import escape

    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table><caption>{escape(title)}</caption>{lines}</table>{picture}"
