"""The DeepMind Control Suite, with PlaNet's action repeats and camera."""

from __future__ import annotations

import os
from importlib.metadata import version

import mujoco
import mujoco.rollout
import numpy as np
from dm_control import suite
from dm_control.rl import control
from dm_env import specs

from armillary_bridge.errors import RigError, kind
from armillary_bridge.futures import REWARDS, stepwise_returns
from armillary_bridge.plant import Actuator, Plant, Spec, episode_ticks
from armillary_bridge.spaces import Controls
from armillary_bridge.values import flag, number

ACTION_REPEAT = {"cartpole": 8, "reacher": 4, "cheetah": 4, "ball_in_cup": 4, "finger": 2, "walker": 2}
DEFAULT_STEPS = 1000
SHADOW_SIZE = 512
"""A quarter of MuJoCo's: four times as fast, and pixels move by 0.02 of 255 grey levels."""


def load(name: str, what: str, repeat: int | None) -> "DmcPlant":
    """`cartpole-swingup`, `ball_in_cup-catch`, ..."""
    domain, _, task = what.partition("-")
    if (domain, task) not in suite.ALL_TASKS:
        names = ", ".join(sorted(f"{d}-{t}" for d, t in suite.BENCHMARKING))
        raise RigError(f"the Control Suite has no such task; it has {names}")
    return DmcPlant(name, suite.load(domain, task), repeat or ACTION_REPEAT.get(domain, 1), (domain, task))


class DmcPlant(Plant):
    """A dm_control environment, seen by its camera 0. After a task has ended by itself, its state stays and its reward is
    zero until the next episode."""

    def __init__(self, name: str, environment, repeat: int, task: tuple[str, str] | None = None) -> None:
        self._environment = environment
        self._task = task
        self._rollout: mujoco.rollout.Rollout | None = None
        inner = _innermost(environment)
        self._wrapped = inner is not environment
        model = getattr(environment.physics, "model", None)
        if model is None:
            raise RigError(f"its physics is a {type(environment.physics).__name__}; one of dm_control.mujoco can be driven")
        if model.ncam == 0:
            raise RigError("its model has no camera, and pictures are camera 0's: add a <camera> to the model's worldbody")
        self._controls = _controls(environment.action_spec())
        steps = inner._step_limit
        # Episodes end when the other side says so: past its limit the environment would start another one by itself.
        inner._step_limit = float("inf")
        self.ended = True
        self._steps = 0
        bounds = self._controls.bounds()
        self.spec = Spec(
            name=name,
            actuators=tuple(Actuator(name, low, high) for name, (low, high) in zip(_names(model, len(bounds)), bounds)),
            period_s=number("its control_timestep()", environment.control_timestep()) * repeat,
            action_repeat=repeat,
            episode_ticks=episode_ticks(steps, repeat, DEFAULT_STEPS),
            software=f"dm_control {version('dm_control')}, mujoco {mujoco.__version__}",
            remarks=() if _seeds(environment.task, 0) else (
                "its task has no generator of random numbers in an attribute `random`, so the seed of an episode does not "
                "reach it: give it a numpy.random.RandomState if it draws anything",
            ),
        )

    def reset(self, seed: int) -> None:
        _seeds(self._environment.task, seed)
        self._environment.reset()
        now = _controls(self._environment.action_spec())
        if not now.same_as(self._controls):
            raise RigError(f"its action_spec was {self._controls} and is {now} after a reset; keep it as it was declared")
        self.ended, self._steps = False, 0
        # A new episode may bring another model, and so another context to draw in.
        self._environment.physics.model.vis.quality.shadowsize = SHADOW_SIZE

    def step(self, control: np.ndarray) -> float:
        total = 0.0
        for _ in range(self.spec.action_repeat):
            if self.ended:
                break
            # A new array for each step: an environment may keep it, or write into it.
            time_step = self._environment.step(self._controls.fit(control))
            self._steps += 1
            total += number(f"the reward of its step {self._steps}", getattr(time_step, "reward", None))
            self.ended = flag(f"last() of its step {self._steps}", time_step.last())
        return total

    def render(self) -> np.ndarray:
        side, physics = self.picture_side, self._environment.physics
        most = physics.model.vis.global_
        if side > min(most.offwidth, most.offheight):
            raise RigError(
                f"pictures of {side} x {side} are asked for (`capture.side` of the robot file), and its model has room for "
                f"{most.offwidth} x {most.offheight}: write <visual><global offwidth=\"{side}\" offheight=\"{side}\"/></visual> "
                "into the model, or choose a smaller side"
            )
        return physics.render(side, side, camera_id=0)

    def returns(self, controls: np.ndarray) -> np.ndarray:
        if self._wrapped:
            raise NotImplementedError(
                f"{type(self._environment).__name__} is a wrapper, which cannot be put back into a state: planning on the true "
                "simulator needs the environment itself"
            )
        physics = self._environment.physics
        steps = self._environment._n_sub_steps
        repeated = np.repeat(self._controls.fit(controls), self.spec.action_repeat, axis=1)
        reward = REWARDS.get(self._task)
        if reward is None:
            return stepwise_returns(self._environment, repeated)
        model, data = physics.model.ptr, physics.data.ptr
        state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        if self._rollout is None:
            threads = os.cpu_count() or 1
            self._rollout = mujoco.rollout.Rollout(nthread=threads)
            self._scratch = [mujoco.MjData(model) for _ in range(threads)]
        states, _ = self._rollout.rollout(
            model,
            self._scratch,
            state[None],
            np.repeat(repeated, steps, axis=1),
            initial_warmstart=data.qacc_warmstart.copy()[None],
        )
        ends = states[:, steps - 1 :: steps]
        position = ends[..., 1 : 1 + model.nq]
        velocity = ends[..., 1 + model.nq : 1 + model.nq + model.nv]
        return reward(physics, position, velocity, repeated).sum(axis=1)


def _innermost(environment):
    """The environment inside dm_control's wrappers."""
    while not isinstance(environment, control.Environment):
        environment = getattr(environment, "_env", None)
        if environment is None:
            raise RigError("no dm_control.rl.control.Environment is inside of it, and only that can be driven")
    return environment


def _controls(spec: object) -> Controls:
    if not isinstance(spec, specs.BoundedArray) or len(spec.shape) != 1:
        said = spec if isinstance(spec, specs.Array) else kind(spec)
        raise RigError(
            f"its action_spec is {said}; one BoundedArray of one dimension with finite bounds can be driven: wrap the "
            "environment so that it takes one"
        )
    return Controls.of(spec.minimum, spec.maximum, spec.shape, spec.dtype)


def _names(model, count: int) -> list[str]:
    """What the model calls its actuators; numbers where actions are not its actuators, or two would have the same name."""
    numbered = [f"actuator-{index}" for index in range(count)]
    if count != model.nu:
        return numbered
    names = [model.id2name(index, "actuator") or number for index, number in enumerate(numbered)]
    return names if len(set(names)) == count else numbered


def _seeds(task: object, seed: int) -> bool:
    """Starts the generator that the task draws from anew; whether it has one."""
    generator = getattr(task, "random", None)
    sequence = np.random.SeedSequence(seed)
    if isinstance(generator, np.random.RandomState):
        generator.seed(sequence.generate_state(4))
    elif isinstance(generator, np.random.Generator):
        # Whoever else holds it draws from the new state too.
        generator.bit_generator.state = type(generator.bit_generator)(sequence).state
    else:
        return False
    return True
