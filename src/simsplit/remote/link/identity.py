"""The first contact of two ranks: identity, access, agreed settings.

The caller says HELLO. The rank that is called answers WELCOME or REFUSED; if it has a passphrase, it first
sends a CHALLENGE, and the caller a PROOF. A proof is an HMAC-SHA-256, keyed with the passphrase, of the role, both
ranks, and a random number from either end; so the passphrase itself does not travel, and no proof is good twice. The
WELCOME proves the same of the other end. After that MPI itself says from which rank a message came.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import AccessDeniedError, CodecError
from ..wire.codec import Hooks, encode
from ..wire.frame import Frame, FrameKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client.caller import PendingCall
    from ..server.objects import ServedObject
    from ..settings import Settings
    from ..wire.frame import IncomingFrame

log = logging.getLogger("simsplit.remote")

_PLAIN = Hooks()
_NONCE = 32  # bytes
_TEXT = 255  # characters of a host or a program that are looked at


@dataclass(frozen=True, slots=True)
class Identity:
    """What a rank says of itself.

    Attributes
    ----------
    rank : int
    host, program : str
    settings : Settings
    hooks, pickling : Hooks
        For peers without pickle, and with.
    """

    rank: int
    host: str
    program: str
    settings: Settings
    hooks: Hooks
    pickling: Hooks

    def agreed(self, pickle: object) -> Hooks:
        """Return the hooks for a peer, which says whether it switched pickle on."""
        return self.pickling if pickle is True and self.settings.pickle else self.hooks


@dataclass(frozen=True, slots=True)
class Connection:
    """Somebody who wants to call this rank: what a connection validator is given.

    Attributes
    ----------
    rank : int
        As MPI says.
    host, program : str
        As the caller says.
    """

    rank: int
    host: str
    program: str


@dataclass(slots=True)
class ClientState:
    """A rank that may call this one.

    Attributes
    ----------
    connection : Connection
    hooks : Hooks
    active : set of int
        Its requests that are queued or run, and that it waits for.
    oneway : int
        Its requests that are queued, and that it does not wait for.
    instances : dict
        Its own instances of classes that are served one for each caller.
    """

    connection: Connection
    hooks: Hooks
    active: set[int] = field(default_factory=set)
    oneway: int = 0
    instances: dict[str, tuple[ServedObject, Any]] = field(default_factory=dict)


class Peer:
    """A rank that this one calls, or wants to."""

    def __init__(self, rank: int, introduction: Identity) -> None:
        self.rank = rank
        self.hooks = introduction.hooks
        self.welcome = False
        self.asked = False
        self.gone: str | None = None
        self.calls: dict[int, PendingCall] = {}  # that wait for their answer, by correlation id
        self.unacked_oneway = 0  # oneway calls since it was last known to have begun them all
        self.window = introduction.settings.max_in_flight
        self._introduction = introduction
        self._refusal: str | None = None
        self._nonce = b""
        self._other_nonce = b""

    def settled(self) -> bool:
        """Return whether the other end has said yes or no, or is gone."""
        return self.welcome or self._refusal is not None or self.gone is not None

    def begin_again(self) -> None:
        """Forget a refusal."""
        self._refusal, self.asked = None, False

    def require(self, what: object) -> None:
        """Raise unless this rank is welcome."""
        if not self.welcome and self.gone is None:
            raise AccessDeniedError(f"{what}: rank {self.rank} takes no calls from this rank: {self._refusal}")

    def hello(self) -> Frame:
        """Return the first message."""
        self._nonce = secrets.token_bytes(_NONCE)
        own = self._introduction
        return _frame(FrameKind.HELLO, [own.host, own.program, own.settings.pickle, self._nonce])

    def accept(self, arrived: IncomingFrame) -> Frame | None:
        """Take in what the other end says; return what to send back."""
        own, kind = self._introduction, arrived.kind
        if kind is FrameKind.REFUSED:
            self._refusal, self.welcome = str(arrived.value(_PLAIN)), False  # it may have been welcome before
        elif kind is FrameKind.CHALLENGE:
            nonce = arrived.value(_PLAIN)
            if own.settings.passphrase is None or not _is_nonce(nonce):
                self._refusal = "it asks for a passphrase, and this rank has none (SIMSPLIT_REMOTE_PASSPHRASE)"
                return None
            self._other_nonce = nonce
            return _frame(FrameKind.PROOF, self._proof(b"caller"))
        elif kind is FrameKind.WELCOME and self.asked:
            pickle, window, proof = arrived.value(_PLAIN)
            if own.settings.passphrase is not None and not (
                type(proof) is bytes and hmac.compare_digest(proof, self._proof(b"called"))
            ):
                self._refusal = "it does not prove that it knows the passphrase of this rank"
                return None
            self.hooks = own.agreed(pickle)
            self.window = max(1, min(self.window, int(window)))
            self.welcome = True
        return None

    def _proof(self, role: bytes) -> bytes:
        own = self._introduction
        return _proof(own.settings.passphrase, role, own.rank, self.rank, self._nonce, self._other_nonce)


class AccessControl:
    """Decides who may call this rank.

    Parameters
    ----------
    introduction : Identity

    Attributes
    ----------
    validators : list of callable
        Each is given a `Connection`; one that returns False, or raises, refuses it.
    guests : dict of int to ClientState
        Who may call, by rank.
    """

    def __init__(self, introduction: Identity) -> None:
        self.validators: list[Callable[[Connection], bool | None]] = []
        self._introduction = introduction
        self.guests: dict[int, ClientState] = {}
        self._callers: dict[int, tuple[Connection, object, bytes, bytes]] = {}  # challenged, not yet proved
        self._lock = threading.Lock()

    def add(self, validator: Callable[[Connection], bool | None]) -> list[tuple[int, Frame]]:
        """Ask a validator from now on, and about the guests that are here; return what to tell those it refuses."""
        self.validators.append(validator)  # first, so that nobody slips in between
        refused = []
        for rank, guest in list(self.guests.items()):
            try:
                _ask(validator, guest.connection)
            except AccessDeniedError as refusal:
                self.leave(rank)
                log.warning("refused rank %d: %s", rank, refusal)
                refused.append((rank, _frame(FrameKind.REFUSED, str(refusal))))
        return refused

    def guest(self, rank: int) -> ClientState | None:
        """Return the guest of that rank, if it is one."""
        return self.guests.get(rank)

    def leave(self, rank: int) -> None:
        """Forget a rank that is gone."""
        self.guests.pop(rank, None)

    def answer(self, arrived: IncomingFrame) -> Frame:
        """Return the answer to HELLO or PROOF."""
        rank = arrived.source
        try:
            value = arrived.value(_PLAIN)
            if arrived.kind is FrameKind.PROOF:
                return self._proved(rank, value)
            host, program, pickle, nonce = value
            if not (isinstance(host, str) and isinstance(program, str) and _is_nonce(nonce)):
                raise AccessDeniedError("it does not say who it is")  # noqa: TRY301, answered below
            connection = Connection(rank, host[:_TEXT], program[:_TEXT])
            self._check(connection)
            if self._introduction.settings.passphrase is not None:
                own_nonce = secrets.token_bytes(_NONCE)
                self._callers[rank] = (connection, pickle, nonce, own_nonce)
                return _frame(FrameKind.CHALLENGE, own_nonce)
            return self._admit(connection, pickle, None)
        except AccessDeniedError as refusal:
            reason = str(refusal)
        except (CodecError, TypeError, ValueError):
            reason = "its introduction cannot be read"
        log.warning("refused rank %d: %s", rank, reason)
        return _frame(FrameKind.REFUSED, reason)

    def _check(self, connection: Connection) -> None:
        settings = self._introduction.settings
        if settings.allowed_ranks is not None and connection.rank not in settings.allowed_ranks:
            raise AccessDeniedError(f"rank {connection.rank} is not in its allowed_ranks")
        if settings.allowed_hosts is not None and connection.host not in settings.allowed_hosts:
            raise AccessDeniedError(f"host {connection.host} is not in its allowed_hosts")

    def _proved(self, rank: int, proof: object) -> Frame:
        caller = self._callers.pop(rank, None)
        if caller is None:
            raise AccessDeniedError("a proof that nobody asked for")
        connection, pickle, nonce, own_nonce = caller
        particulars = (rank, self._introduction.rank, nonce, own_nonce)
        passphrase = self._introduction.settings.passphrase
        if type(proof) is not bytes or not hmac.compare_digest(proof, _proof(passphrase, b"caller", *particulars)):
            raise AccessDeniedError("it does not know the passphrase")
        return self._admit(connection, pickle, _proof(passphrase, b"called", *particulars))

    def _admit(self, connection: Connection, pickle: object, proof: bytes | None) -> Frame:
        settings = self._introduction.settings
        for validator in self.validators:
            _ask(validator, connection)
        with self._lock:
            if connection.rank not in self.guests and len(self.guests) >= settings.max_clients:
                raise AccessDeniedError(f"it has its max_clients, {settings.max_clients}, already")
            if connection.rank not in self.guests:  # otherwise it asked twice; its requests and instances stay
                self.guests[connection.rank] = ClientState(connection, self._introduction.agreed(pickle))
        return _frame(FrameKind.WELCOME, [settings.pickle, settings.max_in_flight, proof])


def _ask(validator: Callable[[Connection], bool | None], connection: Connection) -> None:
    try:
        verdict = validator(connection)
    except Exception as error:
        raise AccessDeniedError(f"a connection validator raised {type(error).__name__}: {error}") from error
    if verdict is False:
        raise AccessDeniedError("a connection validator refused it")


def _frame(kind: int, value: object) -> Frame:
    return Frame(kind, body=encode(value, _PLAIN).body)


def _is_nonce(value: object) -> bool:
    return type(value) is bytes and len(value) == _NONCE


def _proof(passphrase: str | None, role: bytes, caller: int, called: int, nonce: bytes, other: bytes) -> bytes:
    assert passphrase is not None  # noqa: S101, for the type checker
    message = b"simsplit.remote " + role + caller.to_bytes(8, "little") + called.to_bytes(8, "little") + nonce + other
    return hmac.digest(passphrase.encode(), message, "sha256")
