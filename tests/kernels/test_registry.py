"""Kernels by name, from modules, and as expressions."""

from __future__ import annotations

import hashlib
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import InputError, Problem, run
from simsplit.kernels import Kernel, affine, gbm, load, logistic, lorenz, oscillator, sir
from simsplit.kernels.registry import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = """
import numpy as np
import simsplit

def decay(x, t, rate):
    return x * np.exp(-rate * t)

def plain(x):
    return x + 1

class Shift(simsplit.kernels.Kernel):
    def evaluate(self, x, block, out):
        np.add(x, block["by"], out=out)

class Walk(Shift):
    kind = "step"

class Strict(Shift):
    def __init__(self, *, by):
        super().__init__(by=by)

class Unfinished(simsplit.kernels.Kernel):
    pass

made = Shift(by=3)

class Space:
    inner = staticmethod(plain)

number = 3
"""
_NUMBERS = count()


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., str]:
    """Return what writes a module of a new name to a folder, and names it."""

    def write(source: str = SOURCE, package: str = "") -> str:
        name = f"simsplit_kernels_of_test_{next(_NUMBERS)}"
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        if package:
            (folder / "__init__.py").write_text("")
        (folder / f"{name}.py").write_text(source)
        return f"{package}.{name}" if package else name

    return write


def history(kernel: Kernel) -> Any:
    """Run in one process."""
    result = run(Problem(np.arange(3.0), kernel, delta_t=0.5, steps=2), serial=True, verify=True)
    assert result.history is not None
    return result.history.tolist()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("affine", affine),
        ("gbm", gbm),
        ("logistic", logistic),
        ("lorenz", lorenz),
        ("oscillator", oscillator),
        ("sir", sir),
    ],
)
def test_a_built_in_kernel_by_its_name_is_that_of_the_function(name: str, make: Callable[[], Kernel]) -> None:
    kernel, expected = load(name), make()
    assert type(kernel) is type(expected)
    assert kernel.parameters == expected.parameters
    assert kernel.kind == expected.kind
    assert load(name, kind=expected.kind).name == name
    assert kernel.formula


def test_all_built_in_kernels_are_known() -> None:
    assert sorted(BUILT_IN) == list(BUILT_IN) == ["affine", "gbm", "logistic", "lorenz", "oscillator", "sir"]


def test_a_built_in_kernel_gets_its_parameters() -> None:
    assert load("sir", beta=0.5).parameters == {"beta": 0.5, "gamma": 0.1}
    assert load("affine", offset=[1, 2]).parameters["offset"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("sir", {"rate": 1}, "the kernel sir has no parameter rate; it has beta, gamma"),
        ("affine", {"kind": "step"}, "the kernel affine is a map kernel, not a step kernel"),
        ("sir", {"kind": "map"}, "the kernel sir is a step kernel, not a map kernel"),
        ("affine", {"offset": "high"}, "parameter offset must be a finite number, not 'high'"),
        (
            "logistik",
            {},
            (
                "there is no kernel 'logistik'. Did you mean logistic? Give one of affine, gbm, logistic, lorenz, "
                'oscillator, sir, package.module:function, or an expression such as "(offset + x * multiplier) * t".'
            ),
        ),
        (
            "heat",
            {},
            (
                "there is no kernel 'heat'. Give one of affine, gbm, logistic, lorenz, oscillator, sir, "
                'package.module:function, or an expression such as "(offset + x * multiplier) * t".'
            ),
        ),
    ],
)
def test_what_is_not_there_is_refused_by_name(text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text, **options)
    assert str(caught.value) == message


def test_a_function_of_a_module_in_a_folder(tmp_path: Path, module: Callable[..., str]) -> None:
    name = module()
    kernel = load(f"{name}:decay", folder=str(tmp_path), rate=0.5)
    assert kernel.name == f"{name}:decay"
    assert kernel.kind == "map"
    assert kernel.parameters == {"rate": 0.5}
    assert kernel.source == hashlib.sha256((tmp_path / f"{name}.py").read_bytes()).hexdigest()
    assert history(kernel)[1] == (np.arange(3.0) * np.exp(-0.25)).tolist()
    assert str(tmp_path) not in sys.path


def test_a_function_as_a_step_kernel(tmp_path: Path, module: Callable[..., str]) -> None:
    kernel = load(f"{module()}:plain", folder=str(tmp_path), kind="step")
    assert kernel.kind == "step"
    assert history(kernel) == [[0, 1, 2], [1, 2, 3]]


def test_a_module_of_a_package_and_a_name_within_a_name(tmp_path: Path, module: Callable[..., str]) -> None:
    name = module(package=f"simsplit_package_of_test_{next(_NUMBERS)}")
    assert history(load(f"{name}:Space.inner", folder=str(tmp_path)))[0] == [1, 2, 3]


def test_a_class_of_kernels_is_made_with_the_parameters(tmp_path: Path, module: Callable[..., str]) -> None:
    name = module()
    kernel = load(f"{name}:Shift", folder=str(tmp_path), by=2)
    assert kernel.name == "Shift"
    assert kernel.source
    assert history(kernel) == [[2, 3, 4]] * 2
    walk = load(f"{name}:Walk", folder=str(tmp_path), by=2)
    assert walk.kind == "step"
    assert history(walk) == [[0, 1, 2], [2, 3, 4]]


def test_a_kernel_that_is_made_already(tmp_path: Path, module: Callable[..., str]) -> None:
    kernel = load(f"{module()}:made", folder=str(tmp_path))
    assert kernel.parameters == {"by": 3}
    assert kernel.source
    assert history(kernel) == [[3, 4, 5]] * 2


def test_the_source_is_another_when_the_file_is(tmp_path: Path, module: Callable[..., str]) -> None:
    one, other = (load(f"{module(SOURCE + extra)}:plain", folder=str(tmp_path)) for extra in ("", "# changed\n"))
    assert one.source != other.source


def test_a_ufunc_of_a_library_and_what_has_no_file() -> None:
    kernel = load("numpy:multiply")
    assert history(kernel) == [[0, 0, 0], [0, 0.5, 1]]
    assert kernel.source
    assert load("builtins:abs").source is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("decay", {}, "the function {}:decay wants rate, which is not given"),
        ("decay", {"rate": 1, "rat": 1}, "the function {}:decay has no parameter rat. Did you mean rate? It has rate"),
        ("made", {"by": 1}, "the kernel {}:made is made already, and takes no parameters"),
        ("made", {"kind": "step"}, "the kernel {}:made is a map kernel, not a step kernel"),
        ("Walk", {"by": 1, "kind": "map"}, "the kernel {}:Walk is a step kernel, not a map kernel"),
        ("Strict", {}, "the kernel {}:Strict cannot be made with the parameters []: "),
        ("Strict", {"by": 1, "at": 2}, "the kernel {}:Strict cannot be made with the parameters ['at', 'by']: "),
        ("Unfinished", {}, "the kernel {}:Unfinished cannot be made with the parameters []: "),
        ("dekay", {}, "the kernel {}:dekay cannot be used: the module {} has no dekay"),
        ("Space.outer", {}, "the kernel {}:Space.outer cannot be used: the module {} has no Space.outer"),
        ("number", {}, "a kernel must be a function, a ufunc or a Kernel, not 3"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, module: Callable[..., str], name: str, options: dict[str, Any], message: str
) -> None:
    where = module()
    with pytest.raises(InputError) as caught:
        load(f"{where}:{name}", folder=str(tmp_path), **options)
    assert str(caught.value).startswith(message.replace("{}", where))


@pytest.mark.parametrize("path", ["", "the folder itself"])
def test_the_current_folder_is_importable_only_when_asked_for(
    tmp_path: Path, module: Callable[..., str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    name = module()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    path = path and str(tmp_path)
    monkeypatch.setattr(sys, "path", [path, *sys.path])  # as python -c and python -m have it
    before = list(sys.path)
    with pytest.raises(InputError) as caught:
        load(f"{name}:plain")
    assert str(caught.value) == (
        f"the kernel {name}:plain cannot be imported: there is no module {name}. Install it, set PYTHONPATH, or give "
        "the folder that it is in (--import-from DIR; the current folder is --import-from .)."
    )
    assert sys.path == before
    assert load(f"{name}:plain", folder=".").name == f"{name}:plain"
    assert sys.path == before


@pytest.mark.parametrize("entry", ["absolute", "."])
def test_what_is_on_pythonpath_is_asked_for(
    tmp_path: Path, module: Callable[..., str], monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    name = module()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path) if entry == "absolute" else entry)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert load(f"{name}:plain").name == f"{name}:plain"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load("mine:decay", folder=str(tmp_path / "none"))
    assert str(caught.value) == f"the kernel mine:decay cannot be imported: there is no folder {tmp_path / 'none'}"


def test_a_module_that_is_not_there_is_named_with_what_to_do() -> None:
    for text, missing in (
        ("no_such_module:f", "no_such_module"),
        ("no_such.inner:f", "no_such"),
        ("math.x:f", "math.x"),
    ):
        with pytest.raises(InputError) as caught:
            load(text)
        assert str(caught.value).startswith(
            f"the kernel {text} cannot be imported: there is no module {missing}. Install it, set PYTHONPATH, or give"
        )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("from math import no_such_function", "ImportError: cannot import name 'no_such_function'"),
        ("def f(x:", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_when_it_is_imported_is_an_error_with_the_reason(
    tmp_path: Path, module: Callable[..., str], source: str, message: str
) -> None:
    name = module(source)
    with pytest.raises(InputError) as caught:
        load(f"{name}:f", folder=str(tmp_path))
    assert str(caught.value).startswith(f"the kernel {name}:f cannot be imported: {message}")
    assert caught.value.__cause__ is not None


def test_an_interrupt_while_a_module_is_imported_is_an_interrupt(tmp_path: Path, module: Callable[..., str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        load(f"{module('raise KeyboardInterrupt')}:f", folder=str(tmp_path))


@pytest.mark.parametrize("kind", [None, "map", "step"])
@pytest.mark.parametrize("text", ["x", "(offset + x * multiplier) * t", "rate", "-x", "2"])
def test_anything_else_is_an_expression(text: str, kind: Any) -> None:
    parameters = {name: 3.0 for name in ("offset", "multiplier", "rate") if name in text}
    kernel = load(text, kind=kind, **parameters)
    assert kernel.name == "expression"
    assert kernel.formula == kernel.source == text
    assert kernel.kind == (kind or "map")
