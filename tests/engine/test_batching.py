"""How many steps go between two agreements."""

from __future__ import annotations

from simsplit.engine.batching import QUICK_BELOW, SLOW_ABOVE, StepBatcher


def test_it_doubles_while_all_are_quick_and_halves_when_one_is_slow() -> None:
    now = [0.0]
    batchers = [StepBatcher(4, 50, clock=lambda: now[0]) for _ in range(2)]

    def batch(seconds: float) -> int:
        flags = batchers[0].vote()  # this one is at the end at once
        now[0] += seconds
        flags |= batchers[1].vote()
        for batcher in batchers:
            batcher.adapt(flags)
        assert batchers[0].steps == batchers[1].steps
        return batchers[0].steps

    quick, fair, slow = QUICK_BELOW / 2, (QUICK_BELOW + SLOW_ABOVE) / 2, 2 * SLOW_ABOVE
    assert batchers[0].steps == 4
    assert [batch(quick) for _ in range(5)] == [8, 16, 32, 50, 50]
    assert batch(fair) == 50
    assert [batch(slow) for _ in range(5)] == [25, 12, 6, 4, 4]
    assert [batch(quick), batch(fair), batch(quick)] == [8, 8, 16]
