"""What rows are called, and how it is said which is which."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.display import figure as picture
from simsplit.display.rows import RowColours, RowNames, is_ordered, legend
from tests.support.pictures import words

R = np.linspace(2.5, 4, 7)


@pytest.mark.parametrize(
    ("values", "ordered"),
    [(R, True), (-R, True), (R[[0, 2, 1]], False), ([1, 1], False), ([1, np.inf], False), ([1, np.nan], False)],
)
def test_a_parameter_that_goes_one_way_gives_the_rows_their_names(values: list[float], ordered: bool) -> None:
    assert is_ordered(np.array(values)) is ordered
    assert RowNames(len(values), {"r": np.array(values)}).axis == ("r" if ordered else "row")


def test_a_row_is_called_after_its_parameters() -> None:
    assert RowNames(7, {}).labels([0, 6]) == ["row 0", "row 6"]
    assert RowNames(7, {"r": R}).labels([0, 6]) == ["r = 2.5", "r = 4"]
    assert RowNames(7, {"r": 1 + R * 1e-6}).labels([0, 1]) == ["r = 1.000002", "r = 1.000003"]
    assert RowNames(7, {"r": R, "s": R[::-1], "t": R}).labels([1]) == ["row 1 (r = 2.75, s = 3.75)"]
    assert RowNames(7, {"r": np.ones(7)}).labels([1, 2]) == ["row 1 (r = 1)", "row 2 (r = 1)"]
    np.testing.assert_array_equal(RowNames(7, {"r": R}).places, R)
    np.testing.assert_array_equal(RowNames(3, {}).places, [0, 1, 2])


def test_few_rows_have_a_colour_each_and_many_a_bar() -> None:
    pytest.importorskip("matplotlib")
    for count, names, bar in ((7, RowNames(7, {"r": R}), None), (11, RowNames(11, {}), "row")):
        figure = picture.figure(8, 6)
        axes = figure.subplots()
        colours = RowColours(range(count), names)
        colours.explain(figure, axes)
        assert len({str(colours[n]) for n in range(count)}) == count
        assert [each.get_ylabel() for each in figure.axes[1:]] == ([] if bar is None else [bar])
        assert words(figure.legends) == ([] if bar else names.labels(range(count)))


def test_a_legend_lies_below_all_axes_whatever_it_says() -> None:
    pytest.importorskip("matplotlib")
    for labels in (["a"], [f"row {n} (omega = 1.234, zeta = 0.1)" for n in range(10)]):
        figure = picture.figure(8, 6)
        axes = figure.subplots()
        legend(figure, axes.plot(np.zeros((2, len(labels)))), labels)
        figure.draw_without_rendering()
        (box,) = (each.get_window_extent() for each in figure.legends)
        assert box.y1 <= axes.get_tightbbox().y0 + 1
        assert (box.x0 >= 0, box.x1 <= figure.bbox.x1) == (True, True)
