"""The name server: names, tags, and who has gone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from simsplit import remote
from simsplit.errors import InputError, UnknownNameError
from tests.support.launching import LIMIT
from tests.support.remote_objects import Calculator

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = remote.Settings(lookup_wait=0.05)


@pytest.fixture
def ranks() -> Iterator[list[remote.Session]]:
    with remote.local(3, settings=QUICK, name_server=1) as ranks:
        yield ranks


def test_names_are_registered_found_listed_and_forgotten(ranks: list[remote.Session]) -> None:
    for here in ranks:
        here.serve(Calculator(), object="c", name=f"calculator_{here.rank}", tags=["fast", f"rank{here.rank}"])
    names = ranks[0].names
    assert names.lookup("MPINAME:calculator_2") == "MPI:c@2"
    assert list(names.list_names()) == ["calculator_0", "calculator_1", "calculator_2"]
    assert names.list_names(prefix="calc", pattern="*_[12]") == {"calculator_1": "MPI:c@1", "calculator_2": "MPI:c@2"}
    assert names.list_names(tags=["fast", "rank1"]) == {"calculator_1": "MPI:c@1"}
    assert names.tags("calculator_1") == {"fast", "rank1"}
    assert ranks[2].proxy("MPIMETA:rank1,fast").add(1) == 2
    assert ranks[2].proxy("MPINAME:calculator_0").add(1) == 2
    assert names.unregister("calculator_0")
    assert not names.unregister("calculator_0")
    ranks[2].withdraw("MPI:c@2")
    assert list(names.list_names()) == ["calculator_1"]


def test_a_name_is_taken_over_unless_it_is_to_be_safe(ranks: list[remote.Session]) -> None:
    ranks[0].serve(Calculator(), object="a", name="calc")
    ranks[2].serve(Calculator(), object="b", name="calc")
    assert str(ranks[1].resolve("MPINAME:calc")) == "MPI:b@2"
    with pytest.raises(InputError, match="the name calc is taken by MPI:b@2"):
        ranks[0].serve(Calculator(), object="c", name="calc", safe=True)
    ranks[1].names.register("calc", "MPI:b@2", safe=True)


def test_what_is_not_registered_is_named_with_what_is(ranks: list[remote.Session]) -> None:
    ranks[0].serve(Calculator(), name="known")
    with pytest.raises(UnknownNameError, match=r"nothing is registered as MPINAME:other\. Names: known\."):
        ranks[2].proxy("MPINAME:other")
    with pytest.raises(UnknownNameError, match="MPIMETA:a,b"):
        ranks[2].proxy("MPIMETA:a,b")
    with pytest.raises(UnknownNameError):
        ranks[2].names.tags("other")


@pytest.mark.parametrize("arguments", [("", "MPI:a@0"), ("a", "MPINAME:b"), ("a", "x"), ("a", "MPI:a@0", ["b,c"])])
def test_wrong_arguments_are_refused(ranks: list[remote.Session], arguments: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        ranks[0].names.register(*arguments)  # type: ignore[arg-type]


def test_a_lookup_waits_for_a_name_that_is_still_to_come() -> None:
    with remote.local(2, settings=remote.Settings(lookup_wait=LIMIT), threads=True) as (here, there):
        timer = threading.Timer(0.1, lambda: there.serve(Calculator(), name="late"))
        timer.start()
        assert here.proxy("MPINAME:late").add(1) == 2
        timer.join()


def test_a_wrong_rank_of_the_name_server_is_refused() -> None:
    with (
        pytest.raises(InputError, match="name_server must be a rank from 0 to 1, not 2"),
        remote.local(2, name_server=2),
    ):
        pass
