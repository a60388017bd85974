"""What actions an environment takes: bounds in its own number type, and controls that keep them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from armillary_bridge.errors import RigError

NO_LIMIT = 1e9
"""A bound of this size or more means "no limit": MuJoCo writes 1e10 there, others the largest number of their type."""


@dataclasses.dataclass(frozen=True, eq=False)
class Controls:
    """The actions that an environment takes: one dimension, in `dtype`, from `low` to `high` (both included)."""

    low: np.ndarray
    high: np.ndarray
    dtype: np.dtype

    @classmethod
    def of(cls, low: object, high: object, shape: tuple[int, ...], dtype: object) -> "Controls":
        """Takes bounds that may be scalars for all of `shape`.

        Raises `RigError` for another number of dimensions, or for a type that is no number.
        """
        dtype = np.dtype(dtype)
        if len(shape) != 1:
            raise RigError(
                f"its actions have shape {tuple(shape)}; one dimension is driven: wrap the environment so that its actions "
                f"are a Box of shape ({int(np.prod(shape))},)"
            )
        if dtype.kind not in "iuf":
            raise RigError(f"its actions are of {dtype}; integers and floating-point numbers can be driven")
        low, high = (np.broadcast_to(np.asarray(bound), shape).astype(dtype) for bound in (low, high))
        return cls(low, high, dtype)

    def bounds(self) -> list[tuple[float, float]]:
        """Lower and upper bound of each action; infinite where the largest number of a 16-bit type stands for no limit."""
        limit = float(np.finfo(self.dtype).max) if self.dtype == np.float16 else math.inf

        def plain(bound) -> float:
            return math.copysign(math.inf, bound) if abs(float(bound)) >= limit else float(bound)

        return [(plain(low), plain(high)) for low, high in zip(self.low, self.high)]

    def fit(self, control: np.ndarray) -> np.ndarray:
        """A new array [..., actions] for the environment: in its number type, never beyond its bounds.

        Integers are the nearest whole numbers, halves to the even one. Bounds are numbers of the type and rounding keeps
        order, so that what is clipped before it is converted stays within them. Controls travel in float32: one that is a
        bound there is the bound itself here.
        """
        short = np.asarray(control, np.float32)
        control = np.clip(np.asarray(control, np.float64), self.low.astype(np.float64), self.high.astype(np.float64))
        if self.dtype.kind != "f":
            control = np.rint(control)
        control = np.clip(control.astype(self.dtype), self.low, self.high)
        control = np.where(short <= self.low.astype(np.float32), self.low, control)
        return np.where(short >= self.high.astype(np.float32), self.high, control)

    def same_as(self, other: "Controls") -> bool:
        """Whether both take the same actions."""
        return (
            self.dtype == other.dtype
            and np.array_equal(self.low, other.low)
            and np.array_equal(self.high, other.high)
        )

    def __str__(self) -> str:
        return f"{self.low.tolist()} to {self.high.tolist()} of {self.dtype}"


def check_bounds(name: str, low: float, high: float) -> None:
    """Raises `RigError` for a range that no control can be chosen from."""
    bounds = f"actuator `{name}` has bounds of {low} to {high}"
    if math.isnan(low) or math.isnan(high):
        raise RigError(f"{bounds}: nan is no number; write finite bounds into its Box or action_spec")
    unlimited = [side for side, bound in (("below", low), ("above", high)) if abs(bound) >= NO_LIMIT]
    if unlimited:
        raise RigError(
            f"{bounds}: it has no limit {' and '.join(unlimited)} ({NO_LIMIT:g} or more counts as none); an action of 1 means its upper "
            "bound, so wrap the environment with a Box of the finite bounds that it works in"
        )
    if low == high:
        raise RigError(f"{bounds}: there is nothing to choose; wrap the environment so that its actions leave it out")
    if low > high:
        raise RigError(f"{bounds}: the lower one is above the upper one; exchange them")
    if not np.float32(low) < np.float32(high):
        raise RigError(
            f"{bounds}: both are the same number in float32, in which controls travel; wrap the environment so that "
            "it takes -1 to 1 and scales them itself"
        )
