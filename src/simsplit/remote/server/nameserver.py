"""The name server: an exposed object like any other, on one rank of the job."""

from __future__ import annotations

import fnmatch
import threading
from typing import TYPE_CHECKING

from ...errors import InputError, UnknownNameError
from ..exposure import expose
from ..uri import MetaURI, NameURI, ObjectURI, parse, word

if TYPE_CHECKING:
    from collections.abc import Iterable

OBJECT = "simsplit.names"  # what it is served as


class NameServer:
    """Knows the objects of all ranks by name and by tags."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[ObjectURI, frozenset[str]]] = {}
        self._lock = threading.Lock()

    @expose
    def register(self, name: str, uri: str, tags: Iterable[str] = (), *, safe: bool = False) -> None:
        """Give an object a name.

        Parameters
        ----------
        name : str
        uri : str
            ``MPI:object@rank``.
        tags : iterable of str
            By which it can also be found.
        safe : bool
            Whether to refuse a name that another object has; otherwise the object takes it over.

        Raises
        ------
        InputError
            If an argument is wrong, or the name is taken.
        """
        target = parse(uri)
        if not isinstance(target, ObjectURI):
            raise InputError(f"only an object can be given a name: MPI:object@rank, not {uri}")
        entry = (target, frozenset(word("tag", tag, without=",") for tag in tags))
        with self._lock:
            known = self._entries.get(word("name", name))
            if safe and known is not None and known[0] != target:
                raise InputError(f"the name {name} is taken by {known[0]}. Unregister it first, or choose another.")
            self._entries[name] = entry

    @expose
    def unregister(self, name: str) -> bool:
        """Forget a name; return whether it was known."""
        with self._lock:
            return self._entries.pop(name, None) is not None

    @expose
    def forget(self, uri: str) -> list[str]:
        """Forget all names of an object, and return them."""
        with self._lock:
            names = [name for name, (target, _) in self._entries.items() if str(target) == uri]
            for name in names:
                del self._entries[name]
        return sorted(names)

    @expose
    def lookup(self, uri: str) -> str:
        """Return the ``MPI:object@rank`` of a name or of tags; of several with these tags, the first by name.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        found = self.find(uri)
        if found is None:
            known = ", ".join(sorted(self._entries)[:20]) or "none"
            raise UnknownNameError(f"nothing is registered as {uri}. Names: {known}.")
        return found

    @expose
    def find(self, uri: str) -> str | None:
        """Return the ``MPI:object@rank`` of a name or of tags, or None."""
        target = parse(uri)
        if isinstance(target, NameURI):
            entry = self._entries.get(target.name)
            return None if entry is None else str(entry[0])
        if isinstance(target, MetaURI):
            return next(iter(self.list_names(tags=target.tags).values()), None)
        return str(target)

    @expose
    def list_names(self, prefix: str = "", pattern: str = "*", tags: Iterable[str] = ()) -> dict[str, str]:
        """Return the URIs of registered objects by name, in the order of the names.

        Parameters
        ----------
        prefix : str
            What the names begin with.
        pattern : str
            What they look like, with ``*``, ``?`` and ``[…]``.
        tags : iterable of str
            Tags that all of them have.
        """
        wanted = frozenset(tags)
        with self._lock:
            entries = sorted(self._entries.items())
        return {
            name: str(uri)
            for name, (uri, own) in entries
            if name.startswith(prefix) and fnmatch.fnmatchcase(name, pattern) and wanted <= own
        }

    @expose
    def tags(self, name: str) -> frozenset[str]:
        """Return the tags of a name.

        Raises
        ------
        UnknownNameError
            If it is not registered.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise UnknownNameError(f"nothing is registered as {name}")
        return entry[1]

    def forget_rank(self, rank: int) -> None:
        """Forget all names of a rank that is gone."""
        with self._lock:
            self._entries = {name: entry for name, entry in self._entries.items() if entry[0].rank != rank}
