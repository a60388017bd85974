"""Gymnasium environments with a box of actions and pictures."""

from __future__ import annotations

import os

# Pictures are drawn in memory: nobody need look for a screen, or complain that there is none.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import gymnasium
import numpy as np
from PIL import Image

from armillary_bridge.plant import FRAME_SIDE, Actuator, Plant, Spec

DEFAULT_STEPS = 1000
DEFAULT_PERIOD_S = 0.05


class GymPlant(Plant):
    """After an environment has terminated or was truncated, its state stays and its reward is zero until the next episode.

    At its own time limit it has not ended: how many control periods an episode has is for Armillary to say.
    """

    def __init__(self, name: str, environment: gymnasium.Env, repeat: int) -> None:
        space = environment.action_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise TypeError(f"{name}: its actions are {space}; only a Box with one dimension can be driven")
        if environment.render_mode != "rgb_array":
            raise ValueError(f"{name}: make it with render_mode='rgb_array', it has {environment.render_mode}")
        self._environment = environment
        self.ended = True
        limit = environment.spec.max_episode_steps if environment.spec else None
        self._limit, self._steps = limit, 0
        fps = environment.metadata.get("render_fps")
        step_s = getattr(environment.unwrapped, "dt", None) or (1.0 / fps if fps else DEFAULT_PERIOD_S)
        self.spec = Spec(
            name=name,
            actuators=tuple(
                Actuator(f"actuator-{index}", float(low), float(high))
                for index, (low, high) in enumerate(zip(space.low, space.high))
            ),
            period_s=float(step_s) * repeat,
            action_repeat=repeat,
            episode_ticks=(limit or DEFAULT_STEPS) // repeat,
            software=f"gymnasium {gymnasium.__version__}",
        )

    def reset(self, seed: int) -> None:
        # Gymnasium takes 31 bits in places; what is cut off would make seeds of evaluation those of training.
        self._environment.reset(seed=int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1))
        self.ended, self._steps = False, 0

    def step(self, control: np.ndarray) -> float:
        total = 0.0
        for _ in range(self.spec.action_repeat):
            if self.ended:
                break
            _, reward, terminated, truncated, _ = self._environment.step(control.astype(np.float32))
            total += float(reward)
            self._steps += 1
            timed_out = self._limit is not None and self._steps >= self._limit
            self.ended = bool(terminated or (truncated and not timed_out))
        return total

    def render(self) -> np.ndarray:
        picture = Image.fromarray(np.asarray(self._environment.render(), np.uint8)).convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, top, left + side, top + side))
        return np.asarray(square.resize((FRAME_SIDE, FRAME_SIDE), Image.Resampling.BOX))
