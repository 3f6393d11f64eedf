"""The source files behind a user's kernel: its module, and what that imports from the same folders."""

from __future__ import annotations

import ast
import os
import sys
from hashlib import sha256
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

_LIBRARY = str(Path(os.__file__).resolve().parent)  # Python's own
_ENDINGS = ("/__init__.py", *EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)  # in Python's order


def sources(folder: str | None, modules: Iterable[ModuleType]) -> dict[str, str]:
    """Return the files of some modules, and of what they import from the same places, by the names of the modules.

    The places are `folder`, which the user named, and those that the modules are found in; of a package that is
    installed it is the folder of the module alone. What is imported is read from the sources: what a function imports
    when it is called counts, and what else is loaded does not.
    """
    search = _Search(folder, [module for module in modules if getattr(module, "__file__", None)])
    return search.files


def digest(files: dict[str, str]) -> str | None:
    """Return the digest of files: of a single one that of its bytes. None if there is none that can be read."""
    try:
        digests = {name: sha256(Path(file).read_bytes()).hexdigest() for name, file in files.items()}
    except OSError:
        return None
    if len(digests) == 1:
        return next(iter(digests.values()))
    lines = "".join(f"{name}:{digests[name]}\n" for name in sorted(digests))
    return sha256(lines.encode()).hexdigest() if digests else None


def defining(found: Any) -> ModuleType | None:
    """Return the module that defines what is found in another one."""
    while inner := getattr(found, "func", None) or getattr(found, "pyfunc", None):  # functools.partial, numpy.vectorize
        found = inner
    module = sys.modules.get(getattr(found, "__module__", None) or "")
    return None if module is None or str(getattr(module, "__file__", "")).startswith(f"{_LIBRARY}/") else module


def own_source(kernel: Any) -> tuple[str, str]:
    """Return the source of a kernel that only its program has, and a digest of it and of the values that it holds.

    The source is empty where Python does not have it, as of what was typed in. Values whose content is not known count
    by their class.
    """
    import inspect
    from textwrap import dedent

    target, held = getattr(kernel, "function", None), list[Any]()
    while inner := getattr(target, "func", None) or getattr(target, "pyfunc", None) or getattr(target, "py_func", None):
        held.append([getattr(target, "args", None), getattr(target, "keywords", None)])
        target = inner
    if (owner := getattr(target, "__self__", None)) is not None:  # it is a method of an object
        held.append(getattr(owner, "__dict__", None))
    if target is None or not hasattr(getattr(target, "__func__", target), "__code__"):  # it is an object of a class
        owner = kernel if target is None else target
        held.append({name: value for name, value in getattr(owner, "__dict__", {}).items() if name != "parameters"})
        target = type(owner)
    try:
        text = dedent(inspect.getsource(target))
    except (OSError, TypeError):
        text = ""
    held.append(_held(target))
    try:
        spelled = f"{text or _content(target)}\n{_content(held)}"
    except RecursionError:  # a value holds itself
        spelled = text
    return text, sha256(spelled.encode()).hexdigest()


def _held(function: Any) -> dict[str, Any]:
    """Return the values that a function has from where it was made: defaults, what it encloses, what it names."""
    code = getattr(function, "__code__", None)
    held: dict[str, Any] = {"defaults": [getattr(function, each, None) for each in ("__defaults__", "__kwdefaults__")]}
    for name in getattr(code, "co_names", ()):
        if name in function.__globals__:
            held[name] = function.__globals__[name]
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # it has no value yet
            held[name] = None
    return held


def _content(value: Any) -> str:
    """Return a text for a value that is the same in another process."""
    if isinstance(value, (int, float, complex, str, bytes)) or value is None:
        return repr(value)
    if isinstance(value, (tuple, list)):
        return f"({','.join(map(_content, value))})"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_content(key)}:{_content(each)}' for key, each in value.items())}}}"
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):
        return f"{value.dtype}{value.shape}{sha256(value.tobytes()).hexdigest()}"
    code = getattr(value, "__code__", value)
    if hasattr(code, "co_code"):
        return f"{code.co_code.hex()}{code.co_names}{_content(code.co_consts)}"
    return type(value).__qualname__


class _Search:
    def __init__(self, folder: str | None, modules: list[ModuleType]) -> None:
        self.files: dict[str, str] = {}
        self.places = [] if folder is None else [str(Path(folder).resolve())]
        self.packages: dict[str, str] = {}  # those that are installed, and where
        self.beside: set[str] = set()
        for module in modules:
            self.beside.add(_folder_of(module.__file__))
            top = sys.modules.get(name := module.__name__.partition(".")[0], module)
            packages = list(getattr(top, "__path__", []))
            place = _folder_of(packages[0] if packages else module.__file__)
            if Path(place).name in ("site-packages", "dist-packages") or place == _LIBRARY:
                self.packages[name] = place
            elif place not in self.places:
                self.places.append(place)
        waiting = [(each.__name__, str(each.__file__), hasattr(each, "__path__")) for each in modules]
        while waiting:
            name, file, is_package = waiting.pop()
            if name not in self.files:
                self.files[name] = file
                package = name if is_package else name.rpartition(".")[0]
                waiting.extend(each for wanted in _imported(file, package) for each in self.found(wanted))

    def found(self, name: str) -> Iterator[tuple[str, str, bool]]:
        """Return a module and the packages that it is in, as far as they count: name, file, whether it is a package."""
        first, *rest = name.split(".")
        if first == __name__.partition(".")[0]:
            return
        own = [self.packages[first]] if first in self.packages else []
        for place in [*self.places, *own]:
            file = _file(place, first)
            if file is None and not Path(place, first).is_dir():
                continue
            names, folder = [first], place
            while True:
                if file is not None and (place in self.places or _folder_of(file) in self.beside):
                    yield ".".join(names), file, file.endswith(_ENDINGS[0])
                if not rest:
                    return
                folder = f"{folder}/{names[-1]}"
                names.append(rest.pop(0))
                file = _file(folder, names[-1])


def _folder_of(file: str | None) -> str:
    return str(Path(str(file)).resolve().parent)


def _file(folder: str, name: str) -> str | None:
    """Return the file of a module in a folder, if there is one."""
    return next((f"{folder}/{name}{end}" for end in _ENDINGS if Path(f"{folder}/{name}{end}").is_file()), None)


def _imported(file: str, package: str) -> Iterator[str]:
    """Return what a file imports anywhere in it: modules, and names that may be those of modules within packages."""
    if not file.endswith(".py"):
        return
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):  # it has been imported: what it imports is not known
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{each.name}" for each in node.names if base)
