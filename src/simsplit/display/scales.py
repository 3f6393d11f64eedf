"""Which axes are logarithmic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..util.formatting import pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .summary import Summary


class Scales:
    """The axes that a user wants logarithmic.

    Parameters
    ----------
    wanted : str or sequence of str
        Their names, in a text with commas or one by one.
    known : sequence of str
        The names of the axes of the picture.

    Raises
    ------
    InputError
        If there is no axis of such a name.
    """

    def __init__(self, wanted: str | Sequence[str], known: Sequence[str]) -> None:
        texts = wanted.split(",") if isinstance(wanted, str) else wanted
        self._log = {text.strip() for text in texts if text.strip()}
        for name in sorted(self._log - set(known)):
            raise InputError(f"--log must name any axes of {', '.join(dict.fromkeys(known))}, not {name}")

    def __contains__(self, name: str) -> bool:
        return name in self._log

    def axis(self, axes: Any, which: str, name: str) -> None:
        """Make the axis "x" or "y" logarithmic if it is to be."""
        if name in self._log:
            axes.set(**{f"{which}scale": "log"})
            axes.tick_params(axis=which, which="minor", labelsize="x-small")  # of few decades they have labels

    def colours(self, found: Summary) -> Any:
        """Return how values become colours."""
        from matplotlib.colors import LogNorm, Normalize

        # Means of cells may hardly differ: their colours are those of single values all the same.
        low, high = found.whole
        if "value" not in self._log or not found.positive > 0:
            return Normalize(low, high)
        return LogNorm(found.positive, max(high, found.positive * 1.01))

    def check(self, found: Sequence[Summary]) -> list[str]:
        """Return what a logarithmic axis of values leaves out.

        Raises
        ------
        InputError
            If that is all.
        """
        if "value" not in self._log:
            return []
        if not any(each.positive > 0 for each in found):
            raise InputError("--log value wants values above 0, but there is none.")
        below = sum(each.not_positive for each in found)
        return [f"{pluralize(below, 'value')} not above 0, left out"] if below else []
