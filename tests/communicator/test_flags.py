"""The bits that ranks tell each other."""

from __future__ import annotations

import pytest

from simsplit.communicator import flags

BITS = {name: value for name, value in vars(flags).items() if name.isupper() and isinstance(value, int)}
SINGLE = {name: value for name, value in BITS.items() if name != "STOP"}


def test_each_bit_means_one_thing_and_fits_the_message() -> None:
    assert all(value.bit_count() == 1 for value in SINGLE.values())
    assert len(set(SINGLE.values())) == len(SINGLE)
    # An agreement shifts them by one, and a communicator takes 31 bits.
    assert max(SINGLE.values()) << 1 < 2**31


@pytest.mark.parametrize("name", SINGLE)
def test_what_stops_a_run_has_words_and_nothing_else_has(name: str) -> None:
    assert bool(flags.stop_reason(SINGLE[name])) == bool(SINGLE[name] & flags.STOP)


def test_several_reasons_are_all_told() -> None:
    assert flags.stop_reason(flags.OBSERVER | flags.CTRL_C | flags.BUSY) == "Ctrl-C, an observer"
    assert flags.stop_reason(0) == ""
    assert flags.stop_reason(flags.STOP).count(", ") == flags.STOP.bit_count() - 1
