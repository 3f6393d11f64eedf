"""URIs: read, written, and refused with the value and the way out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.errors import InputError
from simsplit.remote import MetaURI, NameURI, ObjectURI, parse

WORDS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=30)


@given(WORDS.filter(lambda text: "@" not in text), st.integers(0, 10**9))
def test_an_object_comes_back_as_it_was_written(name: str, rank: int) -> None:
    uri = ObjectURI(name, rank)
    assert parse(str(uri)) == uri


@given(WORDS)
def test_a_name_comes_back_as_it_was_written(name: str) -> None:
    assert parse(f"MPINAME:{name}") == NameURI(name)
    assert str(NameURI(name)) == f"MPINAME:{name}"


@given(st.frozensets(WORDS.filter(lambda text: "," not in text), min_size=1))
def test_tags_come_back_as_they_were_written(tags: frozenset[str]) -> None:
    assert parse(str(MetaURI(tags))) == MetaURI(tags)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        uri = parse(text)
    except InputError:
        return
    assert parse(str(uri)) == uri


def test_a_uri_is_returned_as_it_is() -> None:
    uri = ObjectURI("a", 1)
    assert parse(uri) is uri


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no URI"),
        ("PYRO:a@b:1", "Write MPI:object@rank"),
        ("MPI:a", "names no rank"),
        ("MPI:a@-1", "names no rank"),
        ("MPI:a@01", "names no rank"),
        ("MPI:a@1_0", "names no rank"),
        ("MPI:a@\N{ARABIC-INDIC DIGIT ONE}", "names no rank"),
        ("MPI:@1", "object must be a text of at least one character"),
        ("MPI:a@b@1", "object must be without '@'"),
        ("MPINAME:", "name must be a text"),
        ("MPINAME:a b", "without white space"),
        ("MPINAME:a\x00b", "control characters"),
        ("MPINAME:" + "x" * 256, "at most 255 bytes"),
        ("MPIMETA:a,,b", "tag must be a text"),
        (None, "is no URI"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(text)
