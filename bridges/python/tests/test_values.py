"""Rewards and flags as environments give them."""

import decimal
import fractions

import numpy as np
import pytest

from armillary_bridge import RigError
from armillary_bridge.values import flag, number


@pytest.mark.parametrize(
    "value",
    [2, 2.0, np.float32(2), np.float16(2), np.int8(2), np.array(2.0), np.array([2.0]), np.array([[2]]), [2.0], decimal.Decimal(2),
     fractions.Fraction(4, 2)],
)
def test_a_number(value):
    found = number("its reward", value)
    assert type(found) is float and found == 2.0


def test_a_bool_is_a_number():
    assert number("its reward", True) == 1.0 and number("its reward", np.bool_(False)) == 0.0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is None"),
        (float("nan"), "is nan"),
        (float("-inf"), "is -inf"),
        (np.array([np.nan]), "is nan"),
        (decimal.Decimal("NaN"), "is nan"),
        (np.array([1.0, 2.0]), r"shape \(2,\); one number"),
        (np.zeros(0), r"shape \(0,\)"),
        ([1.0, 2.0], "a list of 2"),
        ("1.0", "str '1.0'"),
        (b"1", "bytes"),
        (1 + 0j, "complex"),
        (np.complex64(1), "complex"),
        (np.timedelta64(1), "timedelta"),
        ({"reward": 1.0}, "dict"),
        (object(), "object"),
        ([[1], [1, 2]], "no array"),
        (1e300, "too large for float32"),
        (10**400, "not a finite"),
    ],
)
def test_no_number(value, words):
    with pytest.raises(RigError, match=words) as refused:
        number("its reward", value)
    assert "its reward" in str(refused.value)


@pytest.mark.parametrize("value", [True, np.bool_(True), 1, 1.0, np.int64(1), np.array(True), np.array([True]), [True]])
def test_a_flag(value):
    assert flag("`ended`", value) is True


@pytest.mark.parametrize("value", [None, "False", 2, np.array([True, False]), float("nan"), {}, object()])
def test_no_flag(value):
    with pytest.raises(RigError, match="`ended`.*True or False"):
        flag("`ended`", value)
