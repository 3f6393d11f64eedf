"""Remote objects over MPI messages: they live on one rank and are called from others as if they were local.

::

    @remote.expose
    class Calculator:
        def add(self, a, b):
            return a + b

    with remote.join() as here:                 # every rank of the job
        if here.rank == 1:
            here.serve(Calculator(), name="calculator")
        else:
            calculator = here.proxy("MPINAME:calculator")
            print(calculator.add(1, 2))
            future = calculator.add.submit(3, 4)
            print(future.result(timeout=10))
"""

from .batches import Batch, send
from .cluster import join, local
from .context import CallContext, call_context
from .exposing import expose, oneway
from .failures import RemoteTraceback
from .futures import RemoteFuture
from .handshake import Connection
from .here import Here, registry
from .names import NameServer
from .proxy import AttributeProxy, Proxy, RemoteMethod, StaticProxy, uri_of
from .settings import Settings
from .simulation import RemoteResult, simulate
from .streams import RemoteIterator
from .uri import URI, MetaURI, NameURI, ObjectURI, parse

register = registry.add

__all__ = [
    "URI",
    "AttributeProxy",
    "Batch",
    "CallContext",
    "Connection",
    "Here",
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
