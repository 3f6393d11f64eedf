"""The door of the package: what it exports, and that it is all documented."""

from __future__ import annotations

import inspect

from simsplit import remote

PUBLIC = [
    "URI",
    "AttributeProxy",
    "Batch",
    "CallContext",
    "Connection",
    "MetaURI",
    "NameServer",
    "NameURI",
    "ObjectURI",
    "Proxy",
    "RemoteFuture",
    "RemoteIterator",
    "RemoteMethod",
    "RemoteResult",
    "RemoteTraceback",
    "Session",
    "Settings",
    "StaticProxy",
    "call_context",
    "expose",
    "join",
    "local",
    "oneway",
    "parse",
    "register",
    "send",
    "simulate",
    "uri_of",
]


def test_what_is_exported_is_meant_to_be() -> None:
    assert remote.__all__ == PUBLIC


def test_the_name_that_a_session_had_at_first_is_the_same_class() -> None:
    assert remote.Here is remote.Session


def test_all_that_is_exported_is_documented() -> None:
    for name in PUBLIC:
        thing = getattr(remote, name)
        if name != "URI":
            assert inspect.getdoc(thing), name
        if inspect.isclass(thing):
            for method, member in vars(thing).items():
                if not method.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    assert inspect.getdoc(member), f"{name}.{method}"
