"""Numbers and flags as environments give them."""

from __future__ import annotations

import decimal
import math
import numbers

import numpy as np

from armillary_bridge.errors import RigError, kind

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def number(what: str, value: object) -> float:
    """`value` as a finite number that fits float32; an array of one element is a number. `what` names it in the complaint."""
    array = _array(what, value)
    if array.size != 1:
        raise RigError(f"{what} is {kind(value)}; one number is needed")
    element = array.reshape(())[()]
    # Text is refused, though Python reads numbers from it, and so are times and complex numbers; `Decimal` is taken.
    real = array.dtype.kind in "biuf" or (array.dtype.kind == "O" and isinstance(element, (numbers.Real, decimal.Decimal)))
    try:
        found = float(element) if real else None
    except OverflowError:
        found = math.inf
    if found is None:
        raise RigError(f"{what} is {kind(value)}, which is no number")
    if not math.isfinite(found):
        raise RigError(f"{what} is {found}, which is not a finite number")
    if abs(found) > _FLOAT32_MAX:
        raise RigError(f"{what} is {found}, which is too large for float32")
    return found


def flag(what: str, value: object) -> bool:
    """`value` as a bool: bools, 0 and 1, and arrays of one of these."""
    array = _array(what, value)
    if array.size == 1 and array.dtype.kind in "biuf":
        element = array.reshape(())[()]
        if element in (0, 1):
            return bool(element)
    raise RigError(f"{what} is {kind(value)}; True or False is needed")


def _array(what: str, value: object) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:
        raise RigError(f"{what} is {kind(value)}, which makes no array") from error
