"""Rewards of many imagined states at once, for planning on the true simulator.

Each function is the Suite's own `get_reward` over arrays: position [candidates, steps, nq], velocity [candidates, steps, nv]
and control [candidates, steps, actuators] give rewards [candidates, steps]. A test holds them against the Suite's, step by
step. Tasks that are not here are rolled out one state at a time, which takes minutes a plan.
"""

from __future__ import annotations

import numpy as np
from dm_control.utils import rewards


def _cartpole(physics, position, velocity, control):
    upright = (np.cos(position[..., 1]) + 1) / 2
    centered = (rewards.tolerance(position[..., 0], margin=2) + 1) / 2
    small_control = rewards.tolerance(control[..., 0], margin=1, value_at_margin=0, sigmoid="quadratic")
    small_velocity = rewards.tolerance(velocity[..., 1:], margin=5).min(axis=-1)
    return upright * ((4 + small_control) / 5) * ((1 + small_velocity) / 2) * centered


def _reacher(physics, position, velocity, control):
    model = physics.named.model
    first, second = position[..., 0], position[..., 0] + position[..., 1]
    upper, fore = model.body_pos["hand"][0], model.body_pos["finger"][0]
    finger = np.stack(
        [upper * np.cos(first) + fore * np.cos(second), upper * np.sin(first) + fore * np.sin(second)], axis=-1
    )
    target = physics.named.data.geom_xpos["target"][:2]
    radii = model.geom_size[["target", "finger"], 0].sum()
    return rewards.tolerance(np.linalg.norm(finger - target, axis=-1), (0, radii))


REWARDS = {
    ("cartpole", "balance"): _cartpole,
    ("cartpole", "swingup"): _cartpole,
    ("reacher", "easy"): _reacher,
    ("reacher", "hard"): _reacher,
}


def stepwise_returns(environment, controls: np.ndarray) -> np.ndarray:
    """The Suite's own reward, one candidate and one step after another, from the present state, which is put back."""
    physics, task = environment.physics, environment.task
    start, warm = physics.get_state(), physics.data.qacc_warmstart.copy()
    time, control_now = physics.data.time, physics.control().copy()
    totals = np.zeros(len(controls))

    def put_back() -> None:
        physics.set_state(start)
        physics.data.time = time
        physics.data.qacc_warmstart[:] = warm
        physics.set_control(control_now)
        physics.forward()

    for index, sequence in enumerate(controls):
        put_back()
        for control in sequence:
            task.before_step(control, physics)
            physics.step(environment._n_sub_steps)
            task.after_step(physics)
            totals[index] += task.get_reward(physics)
    put_back()
    return totals
