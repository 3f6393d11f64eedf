"""Proxies of remote objects: dynamic, with attributes, or static."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import InputError
from ..exposure import is_oneway, members
from ..wire.frame import Flag
from .caller import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..uri import ObjectURI
    from .caller import Client
    from .futures import RemoteFuture


class Origin(Protocol):
    """What a proxy needs of the rank that it lives on."""

    @property
    def caller(self) -> Client:
        """The calling side of the rank."""


class Proxy:
    """A remote object. Whatever public name is asked of it, is asked of the object.

    Made by `Session.proxy`, or by receiving a remote object. Two proxies are equal if they stand for the same
    object. A proxy can be copied, and sent to other ranks.
    """

    __slots__ = ("__dict__", "_origin", "_timeout", "_uri")

    def __init__(self, origin: Origin, uri: ObjectURI, timeout: float | None) -> None:
        object.__setattr__(self, "_origin", origin)
        object.__setattr__(self, "_uri", uri)
        object.__setattr__(self, "_timeout", timeout)

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_":
            _public(name)
        return self._method(name)

    def _method(self, name: str, signature: inspect.Signature | None = None, flags: int = 0) -> RemoteMethod:
        """Return a method, and keep it, so that it is found without `__getattr__` the next time."""
        method = RemoteMethod(self._origin.caller, Request(self._uri, name, flags, self._timeout), signature)
        self.__dict__[name] = method
        return method

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{name!r} cannot be set through a dynamic proxy. Ask for one with attributes: "
            "here.proxy(…, attributes=True)."
        )

    def __copy__(self) -> Proxy:
        return type(self)(self._origin, self._uri, self._timeout)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Proxy:
        return self.__copy__()

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled. Pass it in a remote call, or send its URI: str(uri_of(proxy)).")

    def __eq__(self, other: object) -> bool:
        return self._uri == other._uri if isinstance(other, Proxy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._uri)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._uri}>"


class AttributeProxy(Proxy):
    """A remote object whose exposed properties are read and set as attributes, each by a call."""

    __slots__ = ("_remote_attributes",)

    def __init__(self, origin: Origin, uri: ObjectURI, timeout: float | None) -> None:
        super().__init__(origin, uri, timeout)
        object.__setattr__(self, "_remote_attributes", {})

    def __getattr__(self, name: str) -> Any:
        _public(name)
        known = self._known()
        if name not in known:
            raise AttributeError(f"{self!r} exposes no {name!r}; it exposes: {', '.join(known)}")
        if not known[name]:
            return self._method(name)
        return call(self, name, flags=Flag.GET)

    def __setattr__(self, name: str, value: Any) -> None:
        _public(name)
        call(self, name, (value,), flags=Flag.SET)

    def __dir__(self) -> Iterable[str]:
        return sorted(self._known())

    def _known(self) -> dict[str, bool]:
        """Return whether each exposed name is a property; asked of the other rank once."""
        if not self._remote_attributes:
            self._remote_attributes.update(call(self, "", flags=Flag.GET))
        known: dict[str, bool] = self._remote_attributes
        return known


class StaticProxy(Proxy):
    """A remote object of a class, or of a protocol, that is known here: what is wrong is refused here."""

    __slots__ = ("_interface", "_signatures")

    def __init__(self, origin: Origin, uri: ObjectURI, timeout: float | None, interface: Any = None) -> None:
        super().__init__(origin, uri, timeout)
        object.__setattr__(self, "_interface", interface)
        object.__setattr__(self, "_signatures", signatures(interface))

    def __getattr__(self, name: str) -> Any:
        _public(name)
        if name not in self._signatures:
            raise AttributeError(
                f"{self._interface.__qualname__} has no {name!r}; it has: {', '.join(self._signatures)}"
            )
        signature = self._signatures[name]
        if signature is None:
            return call(self, name, flags=Flag.GET)
        oneway = is_oneway(inspect.getattr_static(self._interface, name))
        return self._method(name, signature, Flag.ONEWAY if oneway else 0)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._signatures.get(name, self) is not None:
            raise AttributeError(f"{self._interface.__qualname__} has no property {name!r}")
        call(self, name, (value,), flags=Flag.SET)

    def __copy__(self) -> StaticProxy:
        return type(self)(self._origin, self._uri, self._timeout, self._interface)

    def __dir__(self) -> Iterable[str]:
        return sorted(self._signatures)


class RemoteMethod:
    """A method of a remote object: call it, or `submit` it, or send it off `oneway`."""

    __slots__ = ("_annotations", "_caller", "_request", "_signature")

    def __init__(
        self,
        caller: Client,
        request: Request,
        signature: inspect.Signature | None = None,
        annotations: Mapping[str, Any] | None = None,
    ) -> None:
        self._caller = caller
        self._request = request
        self._signature = signature
        self._annotations = dict(annotations) if annotations else None

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call and return the result."""
        if self._signature is not None:
            self._signature.bind(*args, **kwargs)
        return self._caller.call(self._request, args, kwargs, self._annotations)

    def submit(self, /, *args: Any, **kwargs: Any) -> RemoteFuture:
        """Call and return a future of the result. What is given may be changed at once: large arrays are copied."""
        if self._signature is not None:
            self._signature.bind(*args, **kwargs)
        request = self._request
        if request.flags:  # of a oneway method, which is waited for now
            request = request._replace(flags=0)
        return self._caller.submit(request, args, kwargs, self._annotations)

    def oneway(self, /, *args: Any, **kwargs: Any) -> None:
        """Call and do not wait; what goes wrong is logged at the other rank."""
        if self._signature is not None:
            self._signature.bind(*args, **kwargs)
        self._caller.call(self._request._replace(flags=Flag.ONEWAY), args, kwargs, self._annotations)

    def options(self, *, timeout: float | None = None, annotations: Mapping[str, Any] | None = None) -> RemoteMethod:
        """Return the method with a time limit, or with annotations, which its `CallContext` shows.

        Parameters
        ----------
        timeout : float, optional
            Seconds.
        annotations : mapping of str to object, optional

        Raises
        ------
        InputError
            If one of them is something else.
        """
        if annotations is not None and not (
            isinstance(annotations, Mapping) and all(type(name) is str for name in annotations)
        ):
            raise InputError(f"annotations must be a mapping of str to objects, not {annotations!r:.80}")
        request = self._request
        if timeout is not None:
            request = request._replace(timeout=checked_timeout(timeout))
        return RemoteMethod(self._caller, request, self._signature, annotations or self._annotations)

    def __repr__(self) -> str:
        return f"<remote method {self._request}>"


def call(proxy: Proxy, name: str, args: tuple[Any, ...] = (), *, flags: int) -> Any:
    """Call what is no method, through a proxy."""
    request = Request(proxy._uri, name, flags, proxy._timeout)  # noqa: SLF001, of this module
    return proxy._origin.caller.call(request, args)  # noqa: SLF001, the same


def uri_of(proxy: Any) -> ObjectURI:
    """Return the URI of the object that a proxy stands for.

    Raises
    ------
    InputError
        If it is no proxy.
    """
    if not isinstance(proxy, Proxy):
        raise InputError(f"{proxy!r} is no proxy")
    uri: ObjectURI = proxy._uri  # noqa: SLF001, of this module
    return uri


def checked_timeout(timeout: Any) -> float | None:
    """Return a time limit, or raise an `InputError`."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InputError(f"timeout must be a number of seconds greater than 0, or None, not {timeout!r}")
    return float(timeout)


def signatures(interface: Any) -> dict[str, inspect.Signature | None]:
    """Return the signatures of an interface's methods by name; None for a property."""
    if not isinstance(interface, type):
        raise InputError(f"interface must be a class or a protocol, not {interface!r}")
    names: Iterable[str] = members(interface) or [
        name for name in [*dir(interface), *_annotated(interface)] if not name.startswith("_")
    ]
    found: dict[str, inspect.Signature | None] = {}
    for name in names:
        thing = inspect.getattr_static(interface, name, None)
        called = getattr(interface, name, None)  # of a class itself: without the first argument, if it is bound to that
        if isinstance(thing, type):
            continue
        if isinstance(thing, property | cached_property) or not callable(called):
            found[name] = None
            continue
        signature = inspect.signature(called)
        bound = isinstance(thing, staticmethod | classmethod)
        found[name] = signature if bound else signature.replace(parameters=list(signature.parameters.values())[1:])
    return found


def _annotated(interface: type) -> list[str]:
    """Return the names of attributes that a class and its bases only announce."""
    return [
        name
        for base in interface.__mro__
        if base.__module__ not in ("builtins", "typing")
        for name in inspect.get_annotations(base)
        if not hasattr(interface, name)
    ]


def _public(name: str) -> None:
    if name.startswith("_"):
        raise AttributeError(f"{name!r} is private; no private name of a remote object can be reached")
