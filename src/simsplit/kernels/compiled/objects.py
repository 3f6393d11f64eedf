"""Loading object code: what a linker does, for the little that simsplit's own code needs.

LLVM writes ELF files for x86-64 (System V Application Binary Interface, AMD64 supplement) whose sections are
copied into memory, one behind the other, and whose references to one another are filled in. Anything else is
left to LLVM's own loader, which takes 30 ms and 70 MB to import: `NotLoadedError` says so.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from dataclasses import dataclass
from typing import Any

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # of the file
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_ELF64_LITTLE = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_PROGBITS, _SYMTAB, _RELA = 1, 2, 4  # kinds of sections
_ALLOCATED = 2  # of a section: it is there at run time
_UNDEFINED, _RESERVED = 0, 0xFF00  # section numbers that are none
_ABSOLUTE, _RELATIVE, _TO_FUNCTION = 1, 2, 4  # relocations R_X86_64_64, _PC32 and _PLT32


class NotLoadedError(Exception):
    """The code is not of the kind that is loaded here, or the system forbids to."""


@dataclass(frozen=True)
class _Section:
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


def load(code: bytes, names: tuple[str, ...]) -> tuple[list[int], Any]:
    """Return the addresses of functions, and the object that owns the memory they are in.

    Parameters
    ----------
    code : bytes
        A relocatable ELF file.
    names : tuple of str

    Raises
    ------
    NotLoadedError
    """
    try:
        return _load(code, names)
    except (struct.error, IndexError, OverflowError, ValueError, OSError) as error:
        raise NotLoadedError(str(error)) from error


def _load(code: bytes, names: tuple[str, ...]) -> tuple[list[int], Any]:
    identity, kind, machine, *_, table, _, _, _, _, size, count, _ = _HEADER.unpack_from(code)
    if not identity.startswith(_ELF64_LITTLE) or (kind, machine) != (_RELOCATABLE, _X86_64):
        raise NotLoadedError("not an object file for x86-64")
    sections = [_Section(*_SECTION.unpack_from(code, table + number * size)) for number in range(count)]
    places: dict[int, int] = {}
    end = 0
    for number, section in enumerate(sections):
        if section.flags & _ALLOCATED and section.size:
            if section.kind != _PROGBITS:
                raise NotLoadedError("a section that is neither code nor constants")
            places[number] = -(-end // section.align) * section.align
            end = places[number] + section.size
    memory = mmap.mmap(-1, end, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for number, place in places.items():
        section = sections[number]
        memory[place : place + section.size] = code[section.offset : section.offset + section.size]
    symbols = next(section for section in sections if section.kind == _SYMTAB)
    addresses = _Symbols(code, symbols, sections[symbols.link], places, start)
    for section in sections:
        if section.kind == _RELA and section.info in places:
            for position in range(section.offset, section.offset + section.size, _RELOCATION.size):
                _fill_in(memory, places[section.info], start, _RELOCATION.unpack_from(code, position), addresses)
    change = ctypes.CDLL(None, use_errno=True).mprotect
    change.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if change(start, end, mmap.PROT_READ | mmap.PROT_EXEC):
        raise NotLoadedError("the system does not let memory be made executable")
    return [addresses.named(name) for name in names], memory


def _fill_in(memory: mmap.mmap, place: int, start: int, relocation: tuple[int, ...], addresses: _Symbols) -> None:
    """Write an address where the code refers to it."""
    offset, info, addend = relocation
    at, value, kind = place + offset, addresses.at(info >> 32) + addend, info & 0xFFFFFFFF
    if kind == _ABSOLUTE:
        memory[at : at + 8] = struct.pack("<q", value)
    elif kind in (_RELATIVE, _TO_FUNCTION):
        memory[at : at + 4] = struct.pack("<i", value - start - at)
    else:
        raise NotLoadedError(f"a relocation of kind {kind}")


class _Symbols:
    """Where the symbols of an object file are in memory."""

    def __init__(self, code: bytes, table: _Section, texts: _Section, places: dict[int, int], start: int) -> None:
        self._code, self._table, self._texts = code, table, texts
        self._places, self._start = places, start

    def at(self, number: int) -> int:
        """Return the address of a symbol, by its number."""
        _, _, _, section, value, _ = _SYMBOL.unpack_from(self._code, self._table.offset + number * _SYMBOL.size)
        if section == _UNDEFINED or section >= _RESERVED or section not in self._places:
            raise NotLoadedError("a symbol of another library")
        return self._start + self._places[section] + int(value)

    def named(self, name: str) -> int:
        """Return the address of a symbol, by its name."""
        for number in range(self._table.size // _SYMBOL.size):
            text, *_ = _SYMBOL.unpack_from(self._code, self._table.offset + number * _SYMBOL.size)
            begin = self._texts.offset + text
            if self._code[begin : self._code.index(b"\0", begin)] == name.encode():
                return self.at(number)
        raise NotLoadedError(f"there is no {name}")
