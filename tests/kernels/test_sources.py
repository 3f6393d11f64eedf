"""Which files stand behind a kernel, and their digest."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit.kernels.functions import FunctionKernel
from simsplit.kernels.sources import defining, digest, own_source, sources

FILES = {
    "sources_front.py": """
import json, numpy
from sources_helper import g
import sources_pack.mod
from sources_settings import RATE

def f(x):
    from sources_lazy import factor
    return x * factor
""",
    "sources_helper.py": "def g(x): return x + 3",
    "sources_settings.py": "RATE = 1",
    "sources_lazy.py": "import sources_lazier.inner; factor = 2",
    "sources_lazier/inner.py": "",
    "sources_unrelated.py": "import sources_front",
    "random.py": "",
    "sources_pack/__init__.py": "",
    "sources_pack/mod.py": "from . import sibling; from .sub.deep import up; from .. import nothing",
    "sources_pack/sibling.py": "",
    "sources_pack/stranger.py": "",
    "sources_pack/sub/__init__.py": "",
    "sources_pack/sub/deep.py": "from .. import up, constant",
    "sources_pack/up.py": "def broken(",
}
COUNTED = {
    "sources_front",
    "sources_helper",
    "sources_settings",
    "sources_lazy",
    "sources_lazier.inner",
    "sources_pack",
    "sources_pack.mod",
    "sources_pack.sibling",
    "sources_pack.sub",
    "sources_pack.sub.deep",
    "sources_pack.up",
}


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the files; return the module of the first, which is not run."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    module = type(sys)("sources_front")
    module.__file__ = str(tmp_path / "sources_front.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize("named", [True, False])
def test_what_is_imported_from_the_same_place_counts(front: Any, tmp_path: Path, named: bool) -> None:
    assert set(sources(str(tmp_path) if named else None, [front])) == COUNTED


def test_a_module_elsewhere_counts_with_what_is_beside_it(front: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sources_other.py").write_text("import sources_beside, sources_helper")
    (other / "sources_beside.py").write_text("")
    module = type(sys)("sources_other")
    module.__file__ = str(other / "sources_other.py")
    found = sources(str(tmp_path), [module, front])
    assert set(found) == COUNTED | {"sources_other", "sources_beside"}
    assert found["sources_helper"] == str(tmp_path / "sources_helper.py")


def test_of_an_installed_package_its_own_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "site-packages"
    for name in ("sources_mine/__init__.py", "sources_mine/beside.py", "sources_mine/deep/far.py", "sources_yours.py"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("")
    text = "import sources_yours, sources_mine.deep.far\nfrom . import beside"
    (place / "sources_mine" / "model.py").write_text(text)
    monkeypatch.syspath_prepend(place)
    module = import_module("sources_mine.model")
    assert set(sources(None, [module])) == {"sources_mine", "sources_mine.model", "sources_mine.beside"}


@pytest.mark.parametrize("name", sorted(COUNTED))
def test_the_digest_changes_with_each_file(front: Any, tmp_path: Path, name: str) -> None:
    before = digest(sources(str(tmp_path), [front]))
    stem = str(tmp_path / name.replace(".", "/"))
    file = next(each for each in (Path(f"{stem}.py"), Path(stem, "__init__.py")) if each.is_file())
    file.write_text(file.read_text() + "\n# changed\n")
    assert digest(sources(str(tmp_path), [front])) != before


@pytest.mark.parametrize("name", ["sources_unrelated.py", "sources_pack/stranger.py", "random.py", "data.txt"])
def test_the_digest_does_not_change_with_what_is_not_imported(front: Any, tmp_path: Path, name: str) -> None:
    before = digest(sources(str(tmp_path), [front]))
    (tmp_path / name).write_text("changed = True")
    assert digest(sources(str(tmp_path), [front])) == before


def test_the_digest_does_not_depend_on_where_the_folder_is(front: Any, tmp_path: Path) -> None:
    before = digest(sources(str(tmp_path), [front]))
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    front.__file__ = str(moved / "sources_front.py")
    assert digest(sources(str(moved), [front])) == before
    moved.rename(tmp_path)


def test_no_file_has_no_digest(tmp_path: Path) -> None:
    assert digest(sources(None, [])) is None
    assert digest({"gone": str(tmp_path / "gone.py")}) is None


def test_the_module_that_defines_a_function_is_found() -> None:
    for found in (sources, partial(partial(sources), None), np.vectorize(sources)):
        assert defining(found) is sys.modules["simsplit.kernels.sources"]
    assert sources(None, [sys.modules["builtins"]]) == {}
    assert defining(partial(import_module)) is None


RATE = [0.5]


class Scale:
    """A function with a state."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, x: Any) -> Any:
        return x * self.rate

    def method(self, x: Any) -> Any:
        return x * self.rate


def scaled(x: Any, *, by: float = 1.0) -> Any:
    return x * by * RATE[0]


def within(rate: Any) -> Any:
    return lambda x: x * rate


@pytest.mark.parametrize(
    "make",
    [
        within,
        Scale,
        lambda rate: Scale(rate).method,
        lambda rate: partial(scaled, by=rate),
        lambda rate: partial(within(rate)),
        lambda rate: within(np.array([rate])),
        lambda rate: within(within(rate)(1.0)),
    ],
)
def test_the_values_that_a_kernel_holds_count(make: Any) -> None:
    one, again, other = (own_source(FunctionKernel(make(rate), name="own")) for rate in (0.5, 0.5, 0.25))
    assert one == again
    assert one[0] == other[0] != ""
    assert one[1] != other[1]


def test_a_global_value_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FunctionKernel(scaled)
    before = own_source(kernel)
    monkeypatch.setitem(globals(), "RATE", [0.25])
    assert own_source(kernel)[1] != before[1]


def test_what_was_typed_in_has_no_source_but_a_digest() -> None:
    one, again, other = (own_source(FunctionKernel(eval(f"lambda x: x * {n}"))) for n in (2, 2, 3))  # noqa: S307
    assert one == again
    assert one[0] == ""
    assert one[1] != other[1]


def test_a_value_that_holds_itself_ends_nothing() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert own_source(FunctionKernel(within(loop), name="own"))[0]
