"""dm_control environments of one's own, wrapped and with tasks that are odd in one way."""

import numpy as np
import pytest
from dm_control import mujoco
from dm_control.rl import control
from dm_control.suite import base
from dm_control.suite.wrappers import action_scale, pixels
from dm_env import specs

from armillary_bridge import RigError
from armillary_bridge.rigs import adapt

MODEL = """<mujoco><option timestep="{timestep}"/><visual><global offwidth="64" offheight="64"/></visual>
<worldbody><light pos="0 0 3"/>{camera}<body pos="0 0 1"><joint name="hinge" type="hinge" axis="0 1 0"/>
<geom type="capsule" size="0.05" fromto="0 0 0 0 0 .5"/></body></worldbody>
<actuator>{actuators}</actuator></mujoco>"""
CAMERA = '<camera pos="0 -3 1" xyaxes="1 0 0 0 0 1"/>'
MOTOR = '<motor joint="hinge" ctrlrange="-0.1 0.1"/>'


class Task(base.Task):
    """Its reward is the control, as it arrives at the model."""

    def get_observation(self, physics):
        return {}

    def get_reward(self, physics):
        return physics.data.ctrl[0]


class WithoutRandom(control.Task):
    """A task that has no generator of random numbers, as dm_control does not ask for one."""

    def initialize_episode(self, physics):
        pass

    def before_step(self, action, physics):
        physics.set_control(action)

    def after_step(self, physics):
        pass

    def action_spec(self, physics):
        return mujoco.action_spec(physics)

    def get_observation(self, physics):
        return {}

    def get_reward(self, physics):
        return 1.0


class Drawn(Task):
    """Starts where its generator says. The old and the new kind of generator are both in use."""

    def __init__(self, generator):
        super().__init__()
        self._random = generator

    def initialize_episode(self, physics):
        physics.named.data.qpos["hinge"] = self.random.uniform(-1, 1)


def environment(camera=CAMERA, actuators=MOTOR, task=None, timestep=0.01, **options):
    physics = mujoco.Physics.from_xml_string(MODEL.format(camera=camera, actuators=actuators, timestep=timestep))
    return control.Environment(physics, task or Task(), **{"time_limit": 1, **options})


def with_spec(spec):
    task = Task()
    task.action_spec = lambda physics: spec
    return environment(task=task)


def with_reward(reward):
    task = Task()
    task.get_reward = lambda physics: reward
    return environment(task=task)


@pytest.mark.parametrize(
    ("minimum", "maximum"), [(-1, 1), (-1.0, 1.0), (np.array([-1.0]), np.array([1.0])), (np.float32(-1), np.float32(1))]
)
def test_bounds_of_a_wrapper_may_be_scalars(minimum, maximum):
    plant = adapt("py:odd", action_scale.Wrapper(environment(), minimum=minimum, maximum=maximum), 1)
    plant.reset(1)
    assert [(a.low, a.high) for a in plant.spec.actuators] == [(-1, 1)]
    assert plant.step(np.array([1.0])) == pytest.approx(0.1) and plant.step(np.array([0.5])) == pytest.approx(0.05)
    with pytest.raises(NotImplementedError, match="Wrapper is a wrapper"):
        plant.returns(np.zeros((1, 1, 1)))


def test_a_model_without_room_for_the_side_is_refused():
    plant = adapt("py:odd", environment(), 1)
    plant.reset(1)
    assert plant.render().shape == (64, 64, 3)
    plant.picture_side = 96
    with pytest.raises(RigError, match=r"96 x 96 .*`capture.side`.* 64 x 64.*offwidth=.96."):
        plant.render()


def test_a_wrapped_environment_has_no_time_limit_of_its_own():
    plant = adapt("py:odd", pixels.Wrapper(environment(time_limit=0.05), render_kwargs={"height": 64, "width": 64, "camera_id": 0}), 1)
    plant.reset(1)
    assert plant.spec.episode_ticks == 5
    for _ in range(8):
        plant.step(np.array([0.0]))
        assert not plant.ended


@pytest.mark.parametrize("generator", [np.random.RandomState(5), np.random.default_rng(5)])
def test_a_seed_reaches_the_generator_of_the_task(generator):
    plant = adapt("py:odd", environment(task=Drawn(generator)), 1)
    starts = []
    for seed in (1, 2, 1):
        plant.reset(seed)
        starts.append(float(plant._environment.physics.data.qpos[0]))
    assert starts[0] == starts[2] != starts[1] and plant.spec.remarks == ()


def test_a_task_without_a_generator_is_driven_and_remarked():
    plant = adapt("py:odd", environment(task=WithoutRandom()), 1)
    plant.reset(1)
    assert plant.step(np.zeros(1)) == 1.0
    assert "the seed of an episode does not reach it" in plant.spec.remarks[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: environment(camera=""), "no camera"),
        (lambda: environment(actuators=""), "0 actuators"),
        (lambda: environment(actuators='<motor joint="hinge"/>'), "no limit below and above"),
        (lambda: environment(timestep=0.002), "write @3"),
        (lambda: with_spec([]), "action_spec is a list of 0; one BoundedArray"),
        (lambda: with_spec({"arm": 1}), "action_spec is dict"),
        (lambda: with_spec(specs.Array((1,), float)), r"Array\(shape=\(1,\).*one BoundedArray"),
        (lambda: with_spec(specs.BoundedArray((2, 2), float, -1, 1)), r"shape=\(2, 2\).*one dimension"),
        (lambda: with_spec(specs.BoundedArray((), float, -1, 1)), r"shape=\(\)"),
        (lambda: with_spec(specs.DiscreteArray(3)), "DiscreteArray"),
        (lambda: with_spec(specs.BoundedArray((1,), float, np.nan, 1)), "nan is no number"),
        (lambda: with_spec(specs.BoundedArray((1,), float, 0.5, 0.5)), "nothing to choose"),
        (lambda: with_reward(None), "reward of its step 1 is None"),
        (lambda: with_reward(np.nan), "reward of its step 1 is nan"),
        (lambda: with_reward(np.zeros(2)), r"reward of its step 1 is an array of float64 with shape \(2,\)"),
    ],
)
def test_a_sentence_about_the_environment(make, words):
    with pytest.raises(RigError, match=words):
        plant = adapt("py:odd", make(), 1)
        plant.reset(1)
        plant.step(np.zeros(1))


def test_actions_that_are_no_actuators_have_numbers_for_names():
    plant = adapt("py:odd", with_spec(specs.BoundedArray((3,), np.float32, -1, 1)), 1)
    assert [actuator.name for actuator in plant.spec.actuators] == ["actuator-0", "actuator-1", "actuator-2"]
