"""How many steps go between two agreements."""

from __future__ import annotations

from simsplit.engine.batching import BITS, QUICK, SLOW, Pace


def test_it_doubles_while_all_are_quick_and_halves_when_one_is_slow() -> None:
    now = [0.0]
    paces = [Pace(4, 50, clock=lambda: now[0]) for _ in range(2)]

    def stretch(seconds: float) -> int:
        opinions = paces[0].opinion()  # this one is at the end at once
        now[0] += seconds
        opinions |= paces[1].opinion()
        assert 0 <= opinions < 2**BITS
        for pace in paces:
            pace.adapt(opinions)
        assert paces[0].steps == paces[1].steps
        return paces[0].steps

    quick, fair, slow = QUICK / 2, (QUICK + SLOW) / 2, 2 * SLOW
    assert paces[0].steps == 4
    assert [stretch(quick) for _ in range(5)] == [8, 16, 32, 50, 50]
    assert stretch(fair) == 50
    assert [stretch(slow) for _ in range(5)] == [25, 12, 6, 4, 4]
    assert [stretch(quick), stretch(fair), stretch(quick)] == [8, 8, 16]
