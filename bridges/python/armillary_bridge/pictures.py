"""What a picture is: [height, width, 3] of uint8. One place decides it, for every environment."""

from __future__ import annotations

import numpy as np

from armillary_bridge.errors import RigError, kind
from armillary_bridge.plant import FRAME_SIDE

SIDE_MIN = 5
"""Shorter sides are channels, not those of a picture."""
UNIT_MAX = 1.001
"""Floats up to here are on a scale of 0 to 1: a rounding may pass 1."""
BYTE_MIN = 10.0
"""Floats from here on are on a scale of 0 to 255. Between both nobody can tell."""
REMEDY = "a picture is [height, width, 3] of uint8"


class Pictures:
    """Turns what one environment draws into frames. The table of what is converted and what is refused is in the README.

    What the first pictures say of their size, number type and scale is held for the rest: they stay the same for all
    frames.
    """

    def __init__(self) -> None:
        self._first: tuple[tuple[int, ...], np.dtype] | None = None
        # What a 1 of a floating-point picture stands for; None while all of them were black.
        self._scale: float | None = None

    def frame(self, drawn: object, side: int = FRAME_SIDE) -> np.ndarray:
        """The middle square of `drawn` as [side, side, 3] uint8. Raises `RigError` for what is no picture."""
        picture = self._array(drawn)
        said = (picture.shape, picture.dtype)
        self._first = self._first or said
        if said != self._first:
            raise RigError(
                f"its picture is {kind(picture)}, and its first was of {self._first[1]} with shape {self._first[0]}; "
                "draw all pictures in one size and type"
            )
        return square(self._bytes(_three_channels(picture)), side)

    def _array(self, drawn: object) -> np.ndarray:
        if drawn is None:
            raise RigError(f"its picture is None; {REMEDY}: make the environment with render_mode='rgb_array'")
        if isinstance(drawn, (list, tuple)):
            raise RigError(f"its picture is {kind(drawn)}; {REMEDY}: let render() return the present one alone, as an array")
        if type(drawn).__module__.startswith("PIL."):
            drawn = drawn.convert("RGB")
        try:
            picture = np.asarray(drawn)
        except Exception as error:
            raise RigError(f"its picture is {kind(drawn)}, which makes no array; {REMEDY}") from error
        if picture.dtype.kind not in "iuf":
            raise RigError(f"its picture is {kind(picture) if picture.ndim else kind(drawn)}; {REMEDY}")
        return picture

    def _bytes(self, picture: np.ndarray) -> np.ndarray:
        if picture.dtype == np.uint8:
            return picture
        low, high = float(picture.min()), float(picture.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise RigError(f"its picture is {kind(picture)} with values that are not finite; {REMEDY}")
        tolerance = 0.0 if picture.dtype.kind in "iu" else UNIT_MAX - 1.0
        if low < -tolerance or high > 255.0 + tolerance:
            raise RigError(
                f"its picture is {kind(picture)} with values from {low:g} to {high:g}; {REMEDY}: bring them to 0 to 255"
            )
        scale = 1.0 if picture.dtype.kind in "iu" else self._scale_of(picture, high)
        return np.clip(np.rint(picture.astype(np.float64) * scale), 0.0, 255.0).astype(np.uint8)

    def _scale_of(self, picture: np.ndarray, high: float) -> float:
        if self._scale is None and high > 0.0:
            if UNIT_MAX < high < BYTE_MIN:
                raise RigError(
                    f"its first picture that is not black is {kind(picture)} and reaches {high:g}, which is neither on a scale of "
                    f"0 to 1 nor surely on one of 0 to 255; {REMEDY}: convert it in render()"
                )
            self._scale = 255.0 if high <= UNIT_MAX else 1.0
        if self._scale == 255.0 and high > UNIT_MAX:
            raise RigError(
                f"its picture is {kind(picture)} and reaches {high:g}, and those before went from 0 to 1; {REMEDY}: convert "
                "it in render()"
            )
        # Black is black on both scales.
        return self._scale or 1.0


def square(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle square of `picture` [height, width, 3] uint8, as [side, side, 3]."""
    height, width, _ = picture.shape
    if height == width == side:
        return np.ascontiguousarray(picture)
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    seen = min(height, width)
    left, top = (width - seen) // 2, (height - seen) // 2
    part = image.crop((left, top, left + seen, top + seen))
    return np.asarray(part.resize((side, side), Image.Resampling.BOX))


def _three_channels(picture: np.ndarray) -> np.ndarray:
    """[height, width], [height, width, 1] and [height, width, 4] as [height, width, 3]."""
    shape = picture.shape
    if len(shape) in (2, 3) and min(shape[:2]) >= SIDE_MIN:
        if len(shape) == 2:
            return np.repeat(picture[..., None], 3, axis=2)
        if shape[2] == 1:
            return np.repeat(picture, 3, axis=2)
        if shape[2] in (3, 4):
            # The fourth channel is how opaque a point is.
            return picture[..., :3]
    hint = ""
    if len(shape) == 4:
        hint = ": this looks like a stack of pictures; return one of them"
    elif len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) >= SIDE_MIN:
        hint = ": this looks like channels first; return np.transpose(picture, (1, 2, 0))"
    raise RigError(f"its picture is {kind(picture)}; {REMEDY}, and each side has {SIDE_MIN} pixels or more{hint}")
