"""Every public name says what it takes, of which shape and unit, what it gives and what it raises, in NumPy's style."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

import simsplit
from simsplit import kernels
from simsplit.util.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator


def public() -> Iterator[tuple[str, Any]]:
    """Return every public name with what it stands for, and the public methods of the classes among them."""
    for module in (simsplit, kernels, simsplit.bounds):
        for name in getattr(module, "__all__", ["bounds", "part"]):
            value = getattr(module, name)
            if inspect.ismodule(value) or isinstance(value, str):
                continue
            yield f"{module.__name__}.{name}", value
            for attribute, member in vars(value).items() if inspect.isclass(value) else ():
                if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    yield f"{module.__name__}.{name}.{attribute}", member


EVERYTHING = dict(public())
CALLABLES = {name: value for name, value in EVERYTHING.items() if not isinstance(value, property)}
REPEATS = {"evaluate", "prepare", "reference", "result_dtype", "trace"}  # of a kernel: the contract says it once


def parameters(value: Any) -> list[str]:
    """Return the names of what is called for, as the docstring writes them."""
    if inspect.isclass(value) and issubclass(value, Record):
        return list(value.fields())
    target = value.__init__ if inspect.isclass(value) else value
    if not inspect.isfunction(target):
        return []
    found = inspect.signature(target).parameters.values()
    stars = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: "*"}
    return [stars.get(each.kind, "") + each.name for each in found if each.name != "self"]


def sections(text: str) -> dict[str, str]:
    """Return the sections of a docstring by their titles."""
    parts = re.split(r"^([A-Z][a-z]+)\n-+$", inspect.cleandoc(text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(text: str) -> set[str]:
    """Return the names that a section explains."""
    return {name.strip() for line in re.findall(r"^(\S.*?)(?: :.*)?$", text, re.MULTILINE) for name in line.split(",")}


def test_the_walk_finds_what_is_public() -> None:
    assert len(EVERYTHING) > 40
    assert {"simsplit.run", "simsplit.Problem.time", "simsplit.kernels.Block.row", "simsplit.kernels.gbm"} <= {
        *EVERYTHING
    }


@pytest.mark.parametrize("name", EVERYTHING)
def test_there_is_a_summary_of_one_sentence(name: str) -> None:
    text = inspect.getdoc(EVERYTHING[name])
    assert text, f"{name} has no docstring"
    summary = text.partition("\n")[0]
    assert summary.endswith((".", ":"))
    assert 8 < len(summary) < 120


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_explained(name: str) -> None:
    value = CALLABLES[name]
    if name.rpartition(".")[2] in REPEATS and "kernels.Kernel." not in name:
        return
    wanted = parameters(value)
    if inspect.isclass(value) and issubclass(value, Exception) and value is not simsplit.SimsplitError:
        return
    text = sections(value.__doc__ or "")
    explained = documented(text.get("Parameters", "")) | documented(text.get("Attributes", ""))
    missing = [each for each in wanted if each not in explained and f"`{each}`" not in (value.__doc__ or "")]
    assert not missing, f"{name}: not explained: {', '.join(missing)}"


@pytest.mark.parametrize("name", CALLABLES)
def test_what_is_raised_is_told(name: str) -> None:
    value = CALLABLES[name]
    try:
        source = inspect.getsource(vars(value).get("__init__") if inspect.isclass(value) else value)
    except (OSError, TypeError):
        return
    if re.search(r"^\s+raise (?!NotImplementedError)", source, re.MULTILINE):
        text = inspect.getdoc(value) or ""
        assert "Raises" in sections(text) or "refuse" in text, f"{name} does not say what it raises"


@pytest.mark.parametrize("name", CALLABLES)
def test_arrays_have_shapes_and_quantities_have_units(name: str) -> None:
    text = inspect.getdoc(CALLABLES[name]) or ""
    for line in re.findall(r"^\S.* : .*(?:ndarray|array_like).*$", text, re.MULTILINE):
        assert re.search(r"shape|dict|None$|``", line) or "number" in line, f"{name}: of which shape is {line!r}?"
    for quantity in ("delta_t", "start_time"):
        if re.search(rf"^(\w+, )*{quantity} : ", text, re.MULTILINE):
            assert "unit" in text or "time" in text, f"{name} does not tell the unit of {quantity}"


@pytest.mark.parametrize("name", [name for name in CALLABLES if name.startswith("simsplit.kernels.")])
def test_whoever_makes_a_kernel_says_what_is_refused(name: str) -> None:
    value = CALLABLES[name]
    if inspect.isfunction(value) and not name.startswith(("simsplit.kernels.Kernel.", "simsplit.kernels.Affine.")):
        assert "InputError" in sections(value.__doc__ or "").get("Raises", "")


@pytest.mark.parametrize("name", CALLABLES)
def test_what_is_returned_is_told(name: str) -> None:
    value = CALLABLES[name]
    if inspect.isfunction(value) and value.__annotations__.get("return") not in ("None", "NoReturn", None):
        text = inspect.getdoc(value) or ""
        repeats = name.rpartition(".")[2] in REPEATS
        assert repeats or "Returns" in sections(text) or text.startswith("Return "), f"{name}: what does it return?"
