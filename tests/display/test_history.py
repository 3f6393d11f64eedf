"""What pictures read of a history."""

from __future__ import annotations

import numpy as np

from simsplit.display.history import InMemory, component_of


def test_a_history_in_memory_is_one_piece() -> None:
    array = np.arange(24.0).reshape(4, 3, 2)
    history = InMemory(array)
    assert (history.shape, history.dtype) == (array.shape, array.dtype)
    ((steps, rows),) = history.pieces(3)
    np.testing.assert_array_equal(history.block(steps, rows), array[:3])


def test_components_are_counted_in_c_order_and_are_real() -> None:
    values = np.arange(24).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(component_of(values, 2, 3), values[:, :, 1, 1])
    np.testing.assert_array_equal(component_of(values * 1j, 1, 11), [11.0, 23.0])
    np.testing.assert_array_equal(component_of(np.arange(6).reshape(2, 3), 2, 0), np.arange(6).reshape(2, 3))
