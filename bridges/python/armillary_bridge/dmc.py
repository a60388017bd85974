"""The DeepMind Control Suite, with PlaNet's action repeats and camera."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

from importlib.metadata import version

import mujoco
import mujoco.rollout
import numpy as np
from dm_control import suite

from armillary_bridge.futures import REWARDS, stepwise_returns
from armillary_bridge.plant import FRAME_SIDE, Actuator, Plant, Spec

ACTION_REPEAT = {"cartpole": 8, "reacher": 4, "cheetah": 4, "ball_in_cup": 4, "finger": 2, "walker": 2}
SHADOW_SIZE = 512
"""A quarter of MuJoCo's: four times as fast, and pixels move by 0.02 of 255 grey levels."""


def load(name: str, what: str, repeat: int | None) -> "DmcPlant":
    """`cartpole-swingup`, `ball_in_cup-catch`, ..."""
    domain, _, task = what.partition("-")
    if (domain, task) not in suite.ALL_TASKS:
        names = ", ".join(sorted(f"{d}-{t}" for d, t in suite.BENCHMARKING))
        raise ValueError(f"{name}: the Control Suite has no such task; it has {names}")
    return DmcPlant(name, suite.load(domain, task), repeat or ACTION_REPEAT.get(domain, 1), (domain, task))


class DmcPlant(Plant):
    """A dm_control environment, seen by its camera 0. After a task has ended by itself, its state stays and its reward is
    zero until the next episode."""

    def __init__(self, name: str, environment, repeat: int, task: tuple[str, str] | None = None) -> None:
        self._environment = environment
        self._task = task
        self._rollout: mujoco.rollout.Rollout | None = None
        action = environment.action_spec()
        model = environment.physics.model
        names = [
            model.id2name(index, "actuator") or f"actuator-{index}" for index in range(int(np.prod(action.shape)))
        ]
        limit = environment._step_limit
        steps = 1000 if not np.isfinite(limit) else int(round(limit))
        # Episodes end when the other side says so: past its limit the environment would start another one by itself.
        environment._step_limit = float("inf")
        self.ended = True
        self.spec = Spec(
            name=name,
            actuators=tuple(
                Actuator(name, float(low), float(high)) for name, low, high in zip(names, action.minimum, action.maximum)
            ),
            period_s=environment.control_timestep() * repeat,
            action_repeat=repeat,
            episode_ticks=steps // repeat,
            software=f"dm_control {version('dm_control')}, mujoco {mujoco.__version__}",
        )

    def reset(self, seed: int) -> None:
        # The task draws from this generator alone.
        self._environment.task.random.seed(np.random.SeedSequence(seed).generate_state(4))
        self._environment.reset()
        self.ended = False
        # A new episode may bring another model, and so another context to draw in.
        self._environment.physics.model.vis.quality.shadowsize = SHADOW_SIZE

    def step(self, control: np.ndarray) -> float:
        total = 0.0
        for _ in range(self.spec.action_repeat):
            if self.ended:
                break
            time_step = self._environment.step(control)
            total += float(time_step.reward or 0.0)
            self.ended = time_step.last()
        return total

    def render(self) -> np.ndarray:
        return self._environment.physics.render(FRAME_SIDE, FRAME_SIDE, camera_id=0)

    def returns(self, controls: np.ndarray) -> np.ndarray:
        physics = self._environment.physics
        steps = self._environment._n_sub_steps
        repeated = np.repeat(controls, self.spec.action_repeat, axis=1)
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
