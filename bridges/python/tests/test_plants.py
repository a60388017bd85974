"""Plants keep their promises: futures are what comes to pass, seeds name episodes, and the pipe says what went wrong."""

import gymnasium
import numpy as np
import pytest

from armillary_bridge import open_rig
from armillary_bridge.futures import REWARDS, stepwise_returns
from armillary_bridge.gym import GymPlant
from pipe import Pipe, Refused

TASKS = ["-".join(task) for task in REWARDS]


@pytest.mark.parametrize("task", [*TASKS, "pendulum-swingup"])
def test_futures_come_to_pass_and_leave_the_present_alone(task):
    plant = open_rig(f"dmc:{task}")
    random = np.random.default_rng(7)
    plant.reset(3)
    for _ in range(9):
        plant.step(random.uniform(-1, 1, len(plant.spec.actuators)))
    controls = random.uniform(-1, 1, (4, 5, len(plant.spec.actuators)))
    foreseen = plant.returns(controls)
    assert np.array_equal(plant.returns(controls), foreseen)
    repeated = np.repeat(controls, plant.spec.action_repeat, axis=1)
    np.testing.assert_allclose(foreseen, stepwise_returns(plant._environment, repeated), rtol=0, atol=2e-4)
    earned = sum(plant.step(control) for control in controls[0])
    assert earned == pytest.approx(foreseen[0], abs=2e-4)


def test_a_seed_names_an_episode():
    def pictures(seed):
        plant.reset(seed)
        before = plant.render()
        plant.step(np.array([0.5]))
        return before, plant.render()

    plant = open_rig("dmc:cartpole-swingup")
    first, other, again = pictures(1), pictures(2), pictures(1)
    assert first[0].shape == (64, 64, 3) and first[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[1], other[1])
    assert not np.array_equal(first[0], first[1])


def test_rewards_are_summed_over_the_repeat():
    one, four = open_rig("dmc:cartpole-balance@1"), open_rig("dmc:cartpole-balance@4")
    one.reset(5)
    four.reset(5)
    control = np.array([0.3])
    for _ in range(3):
        assert four.step(control) == pytest.approx(sum(one.step(control) for _ in range(4)))
    assert (one.spec.period_s, four.spec.period_s) == (pytest.approx(0.01), pytest.approx(0.04))
    assert (one.spec.episode_ticks, four.spec.episode_ticks) == (1000, 250)


def test_a_gymnasium_environment_is_a_plant():
    plant = open_rig("gym:Pendulum-v1")
    plant.reset(2**40 + 3)
    reward = plant.step(np.array([2.0]))
    assert reward < 0 and plant.render().shape == (64, 64, 3)
    starts = []
    for seed in (0, 2**40, 0):
        plant.reset(seed)
        starts.append(plant.render())
    assert np.array_equal(starts[0], starts[2]) and not np.array_equal(starts[0], starts[1])
    with pytest.raises(NotImplementedError, match="needs MuJoCo"):
        plant.returns(np.zeros((1, 1, 1)))


class _Short(gymnasium.Env):
    """Ends after three steps."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    render_mode = "rgb_array"

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), 1.0, self.steps == 3, False, {}

    def render(self):
        return np.zeros((64, 64, 3), np.uint8)


def test_an_environment_that_ends_by_itself_says_so():
    plant = GymPlant("py:short", _Short(), repeat=2)
    for _ in range(2):
        plant.reset(1)
        assert not plant.ended
        assert plant.step(np.zeros(1)) == 2.0 and not plant.ended
        assert plant.step(np.zeros(1)) == 1.0 and plant.ended


def test_a_time_limit_is_no_end():
    plant = open_rig("gym:Pendulum-v1")
    plant.reset(1)
    for _ in range(plant.spec.episode_ticks + 5):
        assert plant.step(np.zeros(1)) != 0.0
        assert not plant.ended


@pytest.mark.parametrize("side", [64, 96, 128])
def test_environments_draw_at_the_side_that_is_asked_for(side):
    for name in ("dmc:cartpole-balance", "gym:Pendulum-v1"):
        plant = open_rig(name)
        plant.reset(3)
        small = plant.render().astype(float)
        plant.picture_side = side
        picture = plant.render()
        assert picture.shape == (side, side, 3) and picture.dtype == np.uint8
        # The same scene, in more pixels.
        blocks = lambda of, by: of.reshape(32, by, 32, by, 3).mean((1, 3))
        assert np.abs(blocks(picture.astype(float), side // 32) - blocks(small, 2)).mean() < 4.0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dmc:cartpole-jump", "no such task"),
        ("cartpole", "names no rig"),
        ("dmc:cartpole-balance@0", "action repeat"),
        ("gym:CartPole-v1", "a Box of one dimension"),
        ("py:builtins:object", "neither a Plant"),
        ("py:json:nothing", "nothing"),
        ("py:no_such_module:make", "no_such_module"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(name, words):
    with pytest.raises(Exception, match=words):
        open_rig(name)


def test_the_pipe():
    with Pipe("dmc:cartpole-balance") as pipe:
        spec = pipe.greeting()
        assert spec["actuators"] == [{"name": "slide", "low": -1.0, "high": 1.0}] and spec["remarks"] == []
        pipe.reset()
        reward, ended = pipe.step(0.5)
        assert 0 < reward <= 8 and not ended
        assert len(set(pipe.picture())) > 10
        for side in (96, 128, 64):
            assert len(set(pipe.picture(side))) > 10
        for side in (0, 4, 1025):
            with pytest.raises(Refused, match=f"pictures of {side} x {side} are asked for; 5 to 1024"):
                pipe.picture(side)
        with pytest.raises(Refused, match="protocol version"):
            pipe.ask(b"?")
        assert pipe.quit()[0] == 0
