"""Where a remote object is: three kinds of URI, parsed and printed.

======================  ==============================================================
``MPI:object@rank``     an object of a rank
``MPINAME:name``        whatever the name server knows under that name
``MPIMETA:tag,tag``     one of those that are registered with all of these tags
======================  ==============================================================

The scheme may be written in small letters. What stands behind it is taken as it is: no white space
and no control characters anywhere, no ``@`` in an object's name, no comma in a tag.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass

from ..errors import InputError

PING = "simsplit.ping"  # an object of every rank, which gives nothing
LONGEST = 255  # bytes of an object's name, a method's, a name or a tag, in UTF-8: what a header has room for

_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RANK = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True, order=True)
class ObjectURI:
    """``MPI:object@rank``.

    Attributes
    ----------
    object : str
        The name that the object's rank knows it by.
    rank : int
        The rank, in the communicator of `simsplit.remote.join`.
    """

    object: str
    rank: int

    def __post_init__(self) -> None:
        word("object", self.object, without="@")
        if type(self.rank) is not int or self.rank < 0:
            raise InputError(f"rank must be an integer of 0 or more, not {self.rank!r}")

    def __str__(self) -> str:
        return f"MPI:{self.object}@{self.rank}"


@dataclass(frozen=True, slots=True, order=True)
class NameURI:
    """``MPINAME:name``: looked up at the name server."""

    name: str

    def __post_init__(self) -> None:
        word("name", self.name)

    def __str__(self) -> str:
        return f"MPINAME:{self.name}"


@dataclass(frozen=True, slots=True)
class MetaURI:
    """``MPIMETA:tag,tag``: looked up at the name server by tags, of which all must be there."""

    tags: frozenset[str]

    def __post_init__(self) -> None:
        if not isinstance(self.tags, frozenset) or not self.tags:
            raise InputError(f"tags must be a frozenset of at least one tag, not {self.tags!r}")
        for tag in self.tags:
            word("tag", tag, without=",")

    def __str__(self) -> str:
        return f"MPIMETA:{','.join(sorted(self.tags))}"


URI = ObjectURI | NameURI | MetaURI


def word(what: str, text: object, *, without: str = "") -> str:
    """Return `text` if it can stand in a URI, or raise an `InputError` that names it."""
    wrong = None
    if not isinstance(text, str) or not text:
        wrong = "a text of at least one character"
    elif _FORBIDDEN.search(text):
        wrong = "without white space and control characters"
    elif len(text.encode()) > LONGEST:
        wrong = f"at most {LONGEST} bytes long"
    elif without and without in text:
        wrong = f"without {without!r}"
    if wrong:
        shown = (
            reprlib.repr(text) if not isinstance(text, str) else repr(text)
        )  # what came may hold itself again and again
        raise InputError(f"{what} must be {wrong}, not {shown[:80]}{'…' if len(shown) > 80 else ''}")  # noqa: PLR2004
    return str(text)


def parse(text: str | URI) -> URI:
    """Read a URI.

    Parameters
    ----------
    text : str or URI
        A URI that is parsed already is returned as it is.

    Returns
    -------
    ObjectURI, NameURI or MetaURI

    Raises
    ------
    InputError
        If it is none of the three.

    Examples
    --------
    >>> parse("MPI:calculator@2")
    ObjectURI(object='calculator', rank=2)
    >>> print(parse("mpimeta:fast,gpu"))
    MPIMETA:fast,gpu
    """
    if isinstance(text, ObjectURI | NameURI | MetaURI):
        return text
    scheme, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    kind = scheme.upper()
    if colon and kind == "MPI":
        name, at, rank = rest.rpartition("@")
        if at and _RANK.fullmatch(rank):
            return ObjectURI(name, int(rank))
        raise InputError(f"{text!r} names no rank. Write MPI:object@rank, such as MPI:calculator@2.")
    if colon and kind == "MPINAME":
        return NameURI(rest)
    if colon and kind == "MPIMETA":
        return MetaURI(frozenset(rest.split(",")))
    raise InputError(f"{text!r} is no URI. Write MPI:object@rank, MPINAME:name or MPIMETA:tag,tag.")
