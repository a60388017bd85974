"""What the other side of the pipe needs of an environment."""

from __future__ import annotations

import abc
import dataclasses
import math

import numpy as np

from armillary_bridge.errors import RigError, kind
from armillary_bridge.spaces import check_bounds

FRAME_SIDE = 64
"""Width and height of a picture if nobody asks for others, in pixels."""
FRAME_SIDE_MAX = 1024
JOINTS_MAX = 8
PERIOD_MIN_S = 0.005
PERIOD_MAX_S = 1.0
EPISODE_TICKS_MAX = 1_000_000


@dataclasses.dataclass(frozen=True)
class Actuator:
    """One element of an action: a control between `low` and `high`."""

    name: str
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a plant says of itself before anything moves. Raises `RigError` for one that cannot be driven."""

    name: str
    actuators: tuple[Actuator, ...]
    period_s: float
    """Control period: the environment's own time step times `action_repeat`."""
    action_repeat: int
    episode_ticks: int
    """Control periods in an episode."""
    software: str
    """What simulates, with versions: goes into logs."""
    remarks: tuple[str, ...] = ()
    """What its user should know before it is driven: sentences about the environment, each shown once."""

    def __post_init__(self) -> None:
        for field in ("action_repeat", "episode_ticks"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= EPISODE_TICKS_MAX:
                raise RigError(f"`{field}` of its Spec is {kind(value)}; write a whole number from 1 to {EPISODE_TICKS_MAX}")
            object.__setattr__(self, field, int(value))
        for field in ("name", "software"):
            if not isinstance(getattr(self, field), str):
                raise RigError(f"`{field}` of its Spec is {kind(getattr(self, field))}; write a text")
        self._check_period()
        self._check_actuators()

    def _check_period(self) -> None:
        if not isinstance(self.period_s, (int, float, np.number)) or not math.isfinite(self.period_s) or self.period_s <= 0:
            raise RigError(f"its control period is {kind(self.period_s)}; a number of seconds above 0 is needed")
        object.__setattr__(self, "period_s", float(self.period_s))
        step_s = self.period_s / self.action_repeat
        # The other side has the period in float32.
        if np.float32(self.period_s) < np.float32(PERIOD_MIN_S):
            repeat = math.ceil(PERIOD_MIN_S / step_s - 1e-6)
            raise RigError(
                f"a step of it takes {step_s:g} s, {self.action_repeat} of them {self.period_s:g} s, and a control period is "
                f"{PERIOD_MIN_S:g} s or more: write @{repeat} behind the rig's name, so that an action is held for {repeat} steps"
            )
        if np.float32(self.period_s) > np.float32(PERIOD_MAX_S):
            remedy = "write a smaller number behind @" if step_s <= PERIOD_MAX_S else "let it declare shorter steps"
            raise RigError(
                f"a step of it takes {step_s:g} s, {self.action_repeat} of them {self.period_s:g} s, and a control period is "
                f"{PERIOD_MAX_S:g} s at most: {remedy}"
            )

    def _check_actuators(self) -> None:
        if not 1 <= len(self.actuators) <= JOINTS_MAX:
            raise RigError(f"it has {len(self.actuators)} actuators; 1 to {JOINTS_MAX} can be driven")
        names = [actuator.name for actuator in self.actuators]
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
            raise RigError(f"its actuators are called {names}; give each a name of its own")
        checked = []
        for actuator in self.actuators:
            try:
                low, high = float(actuator.low), float(actuator.high)
            except (TypeError, ValueError) as error:
                bounds = f"{kind(actuator.low)} and {kind(actuator.high)}"
                raise RigError(f"actuator `{actuator.name}` has bounds that are no numbers: {bounds}") from error
            check_bounds(actuator.name, low, high)
            checked.append(Actuator(actuator.name, low, high))
        object.__setattr__(self, "actuators", tuple(checked))


class Plant(abc.ABC):
    """An environment with a camera. Rewards are summed over the action repeat, as PlaNet does."""

    spec: Spec
    ended: bool = False
    """Whether the episode has ended by itself, before its `episode_ticks`: its log ends there."""

    picture_side: int = FRAME_SIDE
    """Width and height of the pictures that are asked for, in pixels: set before `render` is called. A picture of another size is
    brought to it."""

    @abc.abstractmethod
    def reset(self, seed: int) -> None:
        """Starts the episode that `seed` names."""

    @abc.abstractmethod
    def step(self, control: np.ndarray) -> float:
        """Applies `control` [actuators] for one control period; returns the reward earned in it."""

    @abc.abstractmethod
    def render(self) -> np.ndarray:
        """What the camera sees now: [height, width, 3] uint8, or what `Pictures` converts to that."""

    def returns(self, controls: np.ndarray) -> np.ndarray:
        """Rewards summed over each of `controls` [candidates, horizon, actuators] from the present state, which is kept."""
        raise NotImplementedError(
            f"{self.spec.name} cannot be put back into a state: planning on the true simulator needs MuJoCo"
        )


def episode_ticks(steps: object, repeat: int, otherwise: int) -> int:
    """Control periods in an episode of `steps` steps of the environment, or of `otherwise` steps where it names no number."""
    counted = isinstance(steps, (int, float, np.number)) and not isinstance(steps, bool) and 0 < steps < math.inf
    steps = max(1, round(float(steps))) if counted else otherwise
    if steps < repeat:
        raise RigError(
            f"an episode of it has {steps} steps, fewer than the {repeat} of one control period: write a smaller number behind @"
        )
    return min(steps // repeat, EPISODE_TICKS_MAX)
