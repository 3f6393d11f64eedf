"""What components are called, and which of them a name stands for."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import InputError
from simsplit.display.components import Components, Quantity

REAL, COMPLEX = np.dtype(np.float64), np.dtype(np.complex64)


@pytest.mark.parametrize(
    ("shape", "names", "labels"),
    [
        ((), (), ["value"]),
        ((), ("psi",), ["psi"]),
        ((1,), (), ["value"]),
        ((3,), (), ["component 0", "component 1", "component 2"]),
        ((3,), ("S", "I", "R"), ["S", "I", "R"]),
        ((3,), ("S", "I"), ["component 0", "component 1", "component 2"]),
        ((2, 2), (), ["component [0, 0]", "component [0, 1]", "component [1, 0]", "component [1, 1]"]),
        ((2, 2), ("x", "v"), ["x[0]", "v[0]", "x[1]", "v[1]"]),
    ],
)
def test_a_component_has_a_name_if_the_kernel_gives_one(
    shape: tuple[int, ...], names: tuple[str, ...], labels: list[str]
) -> None:
    components = Components(shape, REAL, names)
    assert [components.label(index) for index in range(components.count)] == labels


def test_a_name_a_number_and_a_place_are_understood() -> None:
    ages = Components((2, 3), REAL, ("S", "I", "R"))
    for wanted, numbers in {
        "I": [1, 4], "5,0": [5, 0], "[1,2],S[0]": [5, 0], "I[1]": [4], "R[ 0 ]": [2],
    }.items():  # fmt: skip
        assert [quantity.number for quantity in ages.chosen(wanted)] == numbers
    assert [quantity.label for quantity in ages.chosen(["R", 0])] == ["R[0]", "R[1]", "S[0]"]
    assert ages.chosen(4) == [Quantity(4, "", "I[1]")]
    for wrong in ("X", "6", "-1", "[2,0]", "[1]", "X[1]", "I[2]", "", "0.abs", "\u0663"):
        with pytest.raises(InputError, match=r"^--component must be S, I, R, or from 0 to 5, not "):
            ages.chosen(wrong)
    with pytest.raises(InputError, match="names 30 components: 12 at most"):
        ages.chosen(",".join(["I"] * 15))


def test_complex_values_have_parts() -> None:
    values = np.array([[3 + 4j, np.nan, complex(np.inf, 0), 1e300 + 1e300j]])
    one = Components((), np.dtype(np.complex128))
    found = {quantity.label: quantity.of(values)[0] for quantity in one.chosen("real,imag,abs,phase")}
    assert [*found] == ["real part", "imaginary part", "absolute value", "phase"]
    np.testing.assert_allclose(np.stack([*found.values()])[:, 0], [3, 4, 5, np.angle(3 + 4j)])
    assert np.isnan(np.stack([*found.values()])[:, 1:3]).all()
    assert one.default() == one.chosen("0") == one.chosen("real,imag")
    pair = Components((2,), COMPLEX, ("a", "b"))
    assert [quantity.label for quantity in pair.chosen("a,b.abs,1.phase")] == ["Re a", "Im a", "|b|", "arg b"]
    with pytest.raises(InputError, match=r"a, b, or from 0 to 1, or a part of these, such as 0.abs \(real, imag"):
        pair.chosen("abs")  # of which?


def test_few_components_are_all_drawn() -> None:
    for shape, count in (((3,), 3), ((4,), 1), ((2, 9), 1)):
        assert len(Components(shape, REAL).chosen(())) == count
    for shape, count in (((), 2), ((2,), 2)):
        assert len(Components(shape, COMPLEX).chosen(())) == count


def test_what_is_too_great_for_a_double_is_not_finite() -> None:
    great = np.array([[1, np.longdouble("1e4000")]])
    assert Quantity(0, "", "").of(great)[0, 0] == 1
    assert not np.isfinite(Quantity(0, "", "").of(great)[0, 1]) or np.longdouble is np.float64
