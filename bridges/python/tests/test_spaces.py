"""Controls are never beyond the declared bounds, in the declared number type; bounds that cannot be driven have their own words."""

import numpy as np
import pytest
from dm_env import specs
from gymnasium.spaces import Box

from armillary_bridge import RigError
from armillary_bridge.gym import GymPlant
from armillary_bridge.spaces import Controls, check_bounds
from odd import sound

BOUNDS = [
    (np.float32, -0.1, 0.1),
    (np.float64, -0.1, 0.1),
    (np.float16, -0.1, 0.3),
    (np.float64, 1 / 3, 2 / 3),
    (np.float32, 1.0, np.nextafter(np.float32(1), np.float32(2))),
    (np.float64, 1.0, 1.0 + 3e-7),
    (np.float64, -1e-30, 1e-30),
    (np.float32, 999_999.9, 1_000_000.1),
    (np.float32, -9.9e8, 9.9e8),
    (np.uint8, 0, 255),
    (np.int8, -128, 127),
    (np.int64, 3, 4),
    (np.int32, -999_999_999, 999_999_999),
]


@pytest.mark.parametrize(("dtype", "low", "high"), BOUNDS)
def test_controls_are_in_the_box(dtype, low, high):
    box = Box(np.array([low], dtype), np.array([high], dtype), dtype=dtype)
    spec = specs.BoundedArray((1,), dtype, [low], [high])
    plant = GymPlant("py:odd", sound(action_space=box), repeat=1)
    plant.reset(0)
    actuator = plant.spec.actuators[0]
    # As they come: in float32, a rounding beyond the bounds at worst.
    ends = np.array([actuator.low, actuator.high], np.float32)
    random = np.random.default_rng(3).uniform(*ends.astype(np.float64), 100).astype(np.float32)
    beyond = np.nextafter(ends, np.array([-np.inf, np.inf], np.float32))
    for value in [*ends, *beyond, *random, 0.5 * ends.sum()]:
        control = plant._controls.fit(np.array([value], np.float64))
        assert box.contains(control), control
        spec.validate(control)
        plant.step(np.array([value], np.float64))
    assert {plant._controls.fit(ends[:1])[0], plant._controls.fit(ends[1:])[0]} == {box.low[0], box.high[0]}


def test_whole_numbers_are_the_nearest():
    controls = Controls.of(0, 255, (5,), np.uint8)
    fitted = controls.fit(np.array([0.4, 0.6, 1.5, 2.5, 254.6]))
    assert fitted.dtype == np.uint8 and fitted.tolist() == [0, 1, 2, 2, 255]


def test_each_control_is_an_array_of_its_own():
    controls, given = Controls.of(-1.0, 1.0, (2,), np.float64), np.zeros(2)
    controls.fit(given)[:] = 9
    assert given.tolist() == [0, 0] and controls.fit(given).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-np.inf, np.inf, "no limit below and above"),
        (-1.0, np.inf, "no limit above"),
        (-np.inf, 1.0, "no limit below"),
        (-3.4028235e38, 3.4028235e38, "no limit below and above"),
        (-1e10, 1e10, "no limit below and above"),
        (np.nan, 1.0, "nan is no number"),
        (-1.0, np.nan, "nan is no number"),
        (0.5, 0.5, "nothing to choose"),
        (1.0, -1.0, "exchange them"),
        (1.0, 1.0 + 1e-9, "same number in float32"),
    ],
)
def test_bounds_that_cannot_be_driven(low, high, words):
    with pytest.raises(RigError, match=words) as refused:
        check_bounds("push", low, high)
    assert "`push`" in str(refused.value)
    assert "finite" not in str(refused.value) or low != high


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64, np.uint32, np.uint64])
def test_the_largest_number_of_a_type_is_no_limit(dtype):
    info = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    box = Box(np.array([info.min], dtype), np.array([info.max], dtype), dtype=dtype)
    with pytest.raises(RigError, match="no limit"):
        GymPlant("py:odd", sound(action_space=box), repeat=1)
