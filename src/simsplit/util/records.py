"""Records: light classes of fields, for what every rank loads at start.

A dataclass writes the source of its methods and compiles it: for 65 fields that takes 2 ms, on each rank. The
methods of a record stand here, once for all.
"""

from __future__ import annotations

from typing import Any, Self, dataclass_transform

__all__ = ["Record"]


@dataclass_transform(frozen_default=True)
class Record:  # noqa: PLW1641, fields may be lists
    """A class derived from it has the fields that it annotates, with their defaults.

    What is derived from such a class in turn has no fields of its own.

    Parameters
    ----------
    frozen : bool, default True
        Whether the fields cannot be set once it is made.

    Raises
    ------
    TypeError
        If a field is given twice, or is not there, or has no value.

    Examples
    --------
    >>> class Place(Record):
    ...     row: int
    ...     column: int = 0
    >>> Place(3), Place(row=3).replace(column=1)
    (Place(row=3, column=0), Place(row=3, column=1))
    """

    _names: tuple[str, ...] = ()
    _repr_exclude: tuple[str, ...] = ()  # fields that are too long for people

    def __init_subclass__(cls, *, frozen: bool = True) -> None:
        if Record in cls.__bases__:
            cls._names = tuple(cls.__annotations__)
        if not frozen:
            cls.__setattr__ = object.__setattr__  # type: ignore[method-assign, assignment]

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self._names
        given = dict(zip(names, values, strict=False)) | named
        if len(given) < len(values) + len(named) or not given.keys() <= set(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}, each once")
        missing = [name for name in names if name not in given and not hasattr(type(self), name)]
        if missing:
            raise TypeError(f"{type(self).__name__} lacks {', '.join(missing)}")
        vars(self).update(given)  # the defaults stay on the class

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Return the names of the fields, in order."""
        return cls._names

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values of some fields."""
        own = {name: vars(self)[name] for name in self._names if name in vars(self)}
        return type(self)(**own | changes)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is not changed: cannot set {name}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._names)

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self._names if name not in self._repr_exclude)
        return f"{type(self).__name__}({', '.join(shown)})"
