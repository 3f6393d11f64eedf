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

from pathlib import Path

from ..communicator import interrupts
from .client.batch import Batch, send
from .client.futures import RemoteFuture
from .client.proxy import AttributeProxy, Proxy, RemoteMethod, StaticProxy, uri_of
from .client.streams import RemoteIterator
from .exposure import expose, oneway
from .link.identity import Connection
from .server.context import CallContext, call_context
from .server.nameserver import NameServer
from .session import Session, registry
from .settings import Settings
from .simulation import RemoteResult, simulate
from .startup import join, local
from .uri import URI, MetaURI, NameURI, ObjectURI, parse
from .wire.exceptions import RemoteTraceback

register = registry.add
Here = Session  # its name at first; deprecated
_FOLDER = Path(__file__).parent
interrupts.guarded = (str(_FOLDER), str(_FOLDER.parent / "transport" / "mpi."))  # which move messages

__all__ = [
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
