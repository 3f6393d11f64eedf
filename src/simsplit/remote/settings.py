"""The settings of the remote layer, in one immutable object."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..util.validation import finite, integer

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SIMSPLIT_REMOTE_"
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; each can also be given as an environment variable, ``SIMSPLIT_REMOTE_`` and its name.

    Limits hold for what a rank accepts from others, and for what it sends.

    Attributes
    ----------
    timeout : float or None, default None
        Seconds that a call waits for its answer; None: as long as the other rank serves.
    lookup_wait : float, default 10
        Seconds that a look-up waits for a name to be registered.
    leave_wait : float, default 10
        Seconds that a rank which failed waits for the others before it leaves without them, and that all wait
        for a message that does not come.
    cancel_wait : float, default 1
        Seconds that cancelling a call waits for the server's word.
    spin : float, default 0.001
        Seconds of waiting for a message at full speed, before the pauses begin.
    longest_pause : float, default 0.002
        Seconds of the longest pause; pauses double up to it.
    workers : int, default 0
        Threads that run the requests of others; 0: whoever waits runs them, and no thread is started.
    inline_nbytes : int, default 16384
        Bytes of an array up to which it travels inside its message.
    max_message_nbytes : int, default 4 GiB
        Bytes of one message, arrays included.
    max_clients : int, default 65536
        Ranks that may call this one.
    max_in_flight : int, default 16384
        Requests of one rank that wait for their answer at another.
    max_depth : int, default 64
        Calls that wait for each other: a call within a call within a call.
    stream_window : int, default 16
        Items of a streamed generator that are fetched at once.
    stream_lifetime : float, default 60
        Seconds after which a streamed generator that nobody asks for more is closed.
    max_streams : int, default 64
        Streamed generators that one rank may have open at another.
    pickle : bool, default False
        Whether values of unknown types are pickled, where the other end says so too. A pickle can run
        any code: for ranks that trust each other only.
    passphrase : str or None, default None
        What other ranks must know, and what this rank proves to know, before the first call.
    allowed_ranks : frozenset of int or None, default None
        The ranks that may call this one; None: all. As a variable: numbers with commas.
    allowed_hosts : frozenset of str or None, default None
        The hosts whose ranks may call this one; None: all. As a variable: names with commas.

    Raises
    ------
    InputError
        If a value is wrong.
    """

    timeout: float | None = None
    lookup_wait: float = 10.0
    leave_wait: float = 10.0
    cancel_wait: float = 1.0
    spin: float = 0.001
    longest_pause: float = 0.002
    workers: int = 0
    inline_nbytes: int = 2**14
    max_message_nbytes: int = 2**32
    max_clients: int = 2**16
    max_in_flight: int = 2**14
    max_depth: int = 64
    stream_window: int = 16
    stream_lifetime: float = 60.0
    max_streams: int = 64
    pickle: bool = False
    passphrase: str | None = field(default=None, repr=False)
    allowed_ranks: frozenset[int] | None = None
    allowed_hosts: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for name in ("lookup_wait", "leave_wait", "cancel_wait", "spin", "stream_lifetime"):
            _seconds(name, getattr(self, name))
        if _seconds("longest_pause", self.longest_pause) == 0:
            raise InputError("longest_pause must be more than 0 seconds")
        if self.timeout is not None and _seconds("timeout", self.timeout) == 0:
            raise InputError("timeout must be more than 0 seconds, or None for no limit")
        for name in ("workers", "inline_nbytes"):
            integer(name, getattr(self, name), least=0)
        for name in ("max_message_nbytes", "max_clients", "max_in_flight", "max_depth", "stream_window", "max_streams"):
            integer(name, getattr(self, name), least=1)
        if self.max_depth >= 2**16:
            raise InputError(f"max_depth must be less than {2**16}, not {self.max_depth}")
        if type(self.pickle) is not bool:
            raise InputError(f"pickle must be True or False, not {self.pickle!r}")
        if self.passphrase is not None and not (isinstance(self.passphrase, str) and self.passphrase):
            raise InputError("passphrase must be a text of at least one character, or None")
        _members("allowed_ranks", self.allowed_ranks, int)
        _members("allowed_hosts", self.allowed_hosts, str)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Return the settings that the variables ask for; those in `given` come first.

        Parameters
        ----------
        environment : mapping, optional
            By default that of the process.
        **given
            Settings by name.

        Raises
        ------
        InputError
            If a variable is wrong, or names no setting.
        """
        found = os.environ if environment is None else environment
        known = {each.name: str(each.type) for each in fields(cls)}
        values: dict[str, Any] = {}
        for variable in sorted(found):
            if variable.startswith(PREFIX):
                name = variable.removeprefix(PREFIX).lower()
                if name not in known:
                    raise InputError(f"{variable} names no setting. There are: {', '.join(known)}.")
                values[name] = _read(variable, found[variable], known[name])
        for name in given:
            if name not in known:
                raise InputError(f"{name} is no setting. There are: {', '.join(known)}.")
        return cls(**{**values, **given})


def _seconds(name: str, value: Any) -> float:
    seconds = finite(name, value)
    if seconds < 0:
        raise InputError(f"{name} must be 0 seconds or more, not {value!r}")
    return seconds


def _members(name: str, value: Any, kind: type) -> None:
    if value is not None and not (isinstance(value, frozenset) and all(type(member) is kind for member in value)):
        raise InputError(f"{name} must be a frozenset of {kind.__name__}, or None, not {value!r}")


def _read(variable: str, text: str, kind: str) -> Any:
    """Read a variable as the annotation of its field says."""
    if "None" in kind and text.strip().lower() in ("", "none"):
        return None
    try:
        if kind.startswith("frozenset"):
            words = [word.strip() for word in text.split(",") if word.strip()]
            return frozenset(map(int, words) if "int" in kind else words)
        if kind.startswith("bool"):
            return (*_YES, *_NO).index(text.strip().lower()) < len(_YES)
        if kind.startswith("str"):
            return text
        return int(text) if kind.startswith("int") else float(text)
    except ValueError:
        raise InputError(f"{variable} must be a {kind.replace(' | ', ' or ')}, not {text!r}") from None
