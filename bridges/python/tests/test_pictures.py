"""What is a picture, what is converted to one, and what is refused in which words."""

import numpy as np
import pytest
from PIL import Image

from armillary_bridge import RigError
from armillary_bridge.pictures import Pictures


def full(shape, value, dtype=np.uint8):
    return np.full(shape, value, dtype)


@pytest.mark.parametrize(
    ("drawn", "grey"),
    [
        (full((80, 80, 3), 100), 100),
        (full((64, 64, 3), 100), 100),
        (full((5, 500, 3), 100), 100),
        (full((80, 60), 100), 100),
        (full((80, 80, 1), 100), 100),
        (full((80, 80, 4), 100), 100),
        (full((80, 80, 3), 100, np.int64), 100),
        (full((80, 80, 3), 100.0, np.float64), 100),
        (full((80, 80, 3), 99.6, np.float32), 100),
        (full((80, 80, 3), 255.0, np.float32), 255),
        (full((80, 80, 3), 0.5, np.float32), 128),
        (full((80, 80), 0.5, np.float16), 128),
        (full((80, 80, 3), 1.0, np.float32), 255),
        (full((80, 80, 3), 1.0000001, np.float64), 255),
        (full((80, 80, 3), -1e-7, np.float64), 0),
        (full((80, 80, 3), 0.0, np.float32), 0),
        (Image.new("RGBA", (80, 80), (100, 100, 100, 9)), 100),
        (Image.new("P", (80, 80), 0), 0),
    ],
)
def test_it_is_taken_or_converted(drawn, grey):
    frame = Pictures().frame(drawn)
    assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8
    assert set(np.unique(frame)) == {grey}


@pytest.mark.parametrize("side", [64, 96, 128])
@pytest.mark.parametrize("size", [(480, 640), (96, 96), (50, 40)])
def test_a_picture_has_the_side_that_is_asked_for(side, size):
    drawn = full((*size, 3), 0)
    drawn[: size[0] // 2] = 200
    frame = Pictures().frame(drawn, side)
    assert frame.shape == (side, side, 3) and frame.dtype == np.uint8
    # The upper half stays the upper half, whatever the two sides.
    assert set(np.unique(frame[: side // 2 - 2])) == {200} and set(np.unique(frame[side // 2 + 2 :])) == {0}


def test_the_middle_square_is_seen():
    wide = full((80, 160, 3), 0)
    wide[:, 40:120] = 200
    assert set(np.unique(Pictures().frame(wide))) == {200}


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (None, "None.*rgb_array"),
        ([full((80, 80, 3), 100)], "a list of 1.*present one"),
        ("a picture", "str"),
        ({}, "dict"),
        (full((3, 80, 80), 100), r"uint8 with shape \(3, 80, 80\).*channels first.*transpose"),
        (full((1, 80, 80), 100), r"\(1, 80, 80\).*channels first"),
        (full((1, 80, 80, 3), 100), r"\(1, 80, 80, 3\).*stack"),
        (full((80, 80, 2), 100), r"\(80, 80, 2\)"),
        (full((80, 80, 5), 100), r"\(80, 80, 5\)"),
        (full((0, 80, 3), 100), r"\(0, 80, 3\).*5 pixels"),
        (full((4, 80, 3), 100), r"\(4, 80, 3\)"),
        (full((80, 0, 3), 100), r"\(80, 0, 3\)"),
        (full((80,), 100), r"\(80,\)"),
        (full((), 100), r"\(\)"),
        (full((80, 80, 3), True, bool), r"bool"),
        (full((80, 80, 3), 1j, complex), "complex"),
        (full((80, 80, 3), 256, np.int64), "int64.*to 256"),
        (full((80, 80, 3), -1, np.int8), "int8.*from -1"),
        (full((80, 80, 3), np.nan, np.float32), "not finite"),
        (full((80, 80, 3), np.inf, np.float64), "not finite"),
        (full((80, 80, 3), -1.0, np.float32), "from -1"),
        (full((80, 80, 3), 300.0, np.float32), "to 300"),
        (full((80, 80, 3), 3.2, np.float32), "3.2.*neither"),
    ],
)
def test_it_is_refused(drawn, words):
    with pytest.raises(RigError, match=words) as refused:
        Pictures().frame(drawn)
    assert "[height, width, 3] of uint8" in str(refused.value)


@pytest.mark.parametrize(
    ("values", "greys"),
    [
        # Black is black on both scales, and a dark picture is not taken for one of the other scale.
        ([0.0, 0.25, 0.0, 1.0], [0, 64, 0, 255]),
        ([0.0, 100.0, 1.0, 0.0], [0, 100, 1, 0]),
        ([1.0, 0.5], [255, 128]),
    ],
)
def test_the_scale_of_floats_stays(values, greys):
    pictures = Pictures()
    frames = [pictures.frame(full((80, 80, 3), value, np.float32)) for value in values]
    assert [frame[0, 0, 0] for frame in frames] == greys


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (full((80, 80, 3), 1.0, np.float32), full((80, 80, 3), 9.0, np.float32), "those before went from 0 to 1"),
        (full((80, 80, 3), 9), full((80, 100, 3), 9), r"\(80, 100, 3\).*\(80, 80, 3\)"),
        (full((80, 80, 3), 9), full((80, 80), 9), r"\(80, 80\).*\(80, 80, 3\)"),
        (full((80, 80, 3), 9), full((80, 80, 3), 0.5, np.float32), "float32.*uint8"),
    ],
)
def test_what_the_first_picture_says_is_held_for_the_rest(first, second, words):
    pictures = Pictures()
    pictures.frame(first)
    with pytest.raises(RigError, match=words):
        pictures.frame(second)
    pictures.frame(first)
