"""What the other side of the pipe needs of an environment."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

FRAME_SIDE = 64
JOINTS_MAX = 8


@dataclasses.dataclass(frozen=True)
class Actuator:
    """One element of an action: a control between `low` and `high`."""

    name: str
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a plant says of itself before anything moves."""

    name: str
    actuators: tuple[Actuator, ...]
    period_s: float
    """Control period: the environment's own time step times `action_repeat`."""
    action_repeat: int
    episode_ticks: int
    """Control periods in an episode."""
    software: str
    """What simulates, with versions: goes into logs."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.actuators) <= JOINTS_MAX:
            raise ValueError(f"{self.name}: {len(self.actuators)} actuators; 1 to {JOINTS_MAX} can be driven")
        for actuator in self.actuators:
            if not (np.isfinite([actuator.low, actuator.high]).all() and actuator.low < actuator.high):
                raise ValueError(
                    f"{self.name}: actuator {actuator.name} goes from {actuator.low} to {actuator.high}; "
                    "wrap the environment so that its actions have finite bounds"
                )


class Plant(abc.ABC):
    """An environment with a camera. Rewards are summed over the action repeat, as PlaNet does."""

    spec: Spec
    ended: bool = False
    """Whether the episode has ended by itself, before its `episode_ticks`: its log ends there."""

    @abc.abstractmethod
    def reset(self, seed: int) -> None:
        """Starts the episode that `seed` names."""

    @abc.abstractmethod
    def step(self, control: np.ndarray) -> float:
        """Applies `control` [actuators] for one control period; returns the reward earned in it."""

    @abc.abstractmethod
    def render(self) -> np.ndarray:
        """What the camera sees now: [64, 64, 3] uint8."""

    def returns(self, controls: np.ndarray) -> np.ndarray:
        """Rewards summed over each of `controls` [candidates, horizon, actuators] from the present state, which is kept."""
        raise NotImplementedError(
            f"{self.spec.name} cannot be put back into a state: planning on the true simulator needs MuJoCo"
        )
