"""The documentation: its snippets run, its tables are complete, and the tests that it names exist."""

from __future__ import annotations

import dataclasses
import re
import sys
from types import ModuleType
from typing import Any

import pytest

from simsplit import remote
from tests.support.launching import ROOT

DOCS = ROOT / "docs"
_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["remote.md", "security.md"])
def test_the_snippets_of_a_page_run_one_after_the_other(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / page).read_text()
    program = ModuleType(f"docs_{page.removesuffix('.md')}")
    monkeypatch.setitem(sys.modules, program.__name__, program)
    snippets = _SNIPPET.findall(text)
    assert len(snippets) == text.count("```python")
    for snippet in snippets:
        exec(compile(snippet, page, "exec", dont_inherit=True), vars(program))  # noqa: S102, our own page


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(SIMSPLIT_REMOTE_\w+)` \| (\S+) \|", (DOCS / "remote.md").read_text(), re.MULTILINE))
    expected = {}
    for field in dataclasses.fields(remote.Settings):
        value: Any = field.default
        shown = {None: "none", False: "no"}.get(value) if value is None or value is False else f"{value:g}"
        expected[f"SIMSPLIT_REMOTE_{field.name.upper()}"] = (
            shown if not isinstance(value, int) or not value else str(value)
        )
    assert rows == expected


def test_every_promise_names_a_test_that_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (DOCS / "security.md").read_text())
    assert len(named) > 15
    for file, name in named:
        (path,) = (ROOT / "tests" / "remote").rglob(file)
        assert f"def {name}(" in path.read_text(), f"{file}::{name}"
