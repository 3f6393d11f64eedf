"""Records: what a dataclass would do, without its cost."""

from __future__ import annotations

import pickle
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from simsplit.util.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping


class Place(Record):
    row: int
    column: int = 0
    notes: Mapping[str, str] = {}

    @cached_property
    def both(self) -> tuple[int, int]:
        return self.row, self.column


class Wide(Record):
    name: str
    values: list[float]

    _repr_exclude = ("values",)


class Counter(Record, frozen=False):
    count: int = 0


class Corner(Place):
    """A class derived from a record."""


def test_fields_have_the_values_given_by_place_or_name_and_else_the_defaults() -> None:
    assert Place.fields() == Corner.fields() == ("row", "column", "notes")
    place = Place(3)
    assert (place.row, place.column, place.notes) == (3, 0, {})
    assert Place(3, 4) == Place(column=4, row=3) == place.replace(column=4)
    assert Corner(1).row == 1


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        ((), {}, "Place lacks row"),
        ((1,), {"row": 2}, "Place takes row, column, notes, each once"),
        ((1, 2, {}, 4), {}, "Place takes row, column, notes, each once"),
        ((1,), {"depth": 2}, "Place takes row, column, notes, each once"),
    ],
)
def test_a_wrong_field_is_refused(values: tuple[int, ...], named: dict[str, int], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        Place(*values, **named)  # type: ignore[arg-type]


def test_a_record_is_not_changed_once_made() -> None:
    place = Place(3)
    with pytest.raises(AttributeError, match=r"^Place is not changed: cannot set row$"):
        place.row = 4  # type: ignore[misc]
    assert place.replace(row=4) == Place(4)
    assert place.row == 3
    with pytest.raises(TypeError, match=r"^Place takes"):
        place.replace(depth=4)


def test_a_record_may_be_made_to_be_changed() -> None:
    counter, other = Counter(), Counter()
    counter.count += 1
    assert (counter.count, other.count, Counter.count) == (1, 0, 0)
    assert repr(counter) == "Counter(count=1)"
    assert pickle.loads(pickle.dumps(counter)) == counter != other  # noqa: S301, our own


def test_records_are_equal_if_all_fields_are_and_the_class_is() -> None:
    assert Place(3, notes={}) == Place(3)
    assert Place(3) != Place(4)
    assert Place(3) != Corner(3)
    assert Place(3) != (3, 0, {})


def test_all_fields_are_shown_but_those_that_are_too_long() -> None:
    assert repr(Place(3)) == "Place(row=3, column=0, notes={})"
    assert repr(Wide("a", [1.0])) == "Wide(name='a')"


def test_a_record_travels_between_ranks_also_after_what_it_computes_once() -> None:
    place = Place(3)
    assert place.both == (3, 0)
    assert place.replace(column=1).both == (3, 1)
    read = pickle.loads(pickle.dumps(place))  # noqa: S301, our own
    assert read == place
    assert read.both == (3, 0)
