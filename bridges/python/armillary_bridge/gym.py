"""Gymnasium environments with a box of actions and pictures."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping

import gymnasium
import numpy as np

from armillary_bridge.errors import RigError, kind
from armillary_bridge.pictures import Pictures
from armillary_bridge.plant import Actuator, Plant, Spec, episode_ticks
from armillary_bridge.spaces import Controls
from armillary_bridge.values import flag, number

DEFAULT_STEPS = 1000
DEFAULT_PERIOD_S = 0.05
OLD_INTERFACE = (
    "this is the interface from before Gymnasium; reset(seed=...) returns (observation, info), and step returns (observation, "
    "reward, terminated, truncated, info): change the environment, or wrap it with the package shimmy"
)


class GymPlant(Plant):
    """After an environment has terminated or was truncated, its state stays and its reward is zero until the next episode.

    At its own time limit it has not ended: how many control periods an episode has is for Armillary to say.
    """

    def __init__(self, name: str, environment: gymnasium.Env, repeat: int) -> None:
        self._environment = environment
        self._controls = _controls(environment)
        mode = getattr(environment, "render_mode", None)
        if mode != "rgb_array":
            raise RigError(f"make it with render_mode='rgb_array'; it has {mode}")
        _check_reset(environment)
        self._pictures = Pictures()
        self.ended = True
        self._limit, self._steps = _time_limit(environment), 0
        step_s, remarks = _step_s(environment)
        self.spec = Spec(
            name=name,
            actuators=tuple(
                Actuator(f"actuator-{index}", low, high) for index, (low, high) in enumerate(self._controls.bounds())
            ),
            period_s=step_s * repeat,
            action_repeat=repeat,
            episode_ticks=episode_ticks(self._limit, repeat, DEFAULT_STEPS),
            software=f"gymnasium {gymnasium.__version__}",
            remarks=remarks,
        )

    def reset(self, seed: int) -> None:
        # Gymnasium takes 31 bits in places; what is cut off would make seeds of evaluation those of training.
        number_of_episode = int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
        result = _unpacked(lambda: self._environment.reset(seed=number_of_episode))
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], (Mapping, type(None)))):
            raise RigError(f"its reset returned {kind(result)}: {OLD_INTERFACE}")
        now = _controls(self._environment)
        if not now.same_as(self._controls):
            raise RigError(f"its action space was {self._controls} and is {now} after a reset; keep it as it was declared")
        self.ended, self._steps = False, 0

    def step(self, control: np.ndarray) -> float:
        total = 0.0
        for _ in range(self.spec.action_repeat):
            if self.ended:
                break
            # A new array for each step: an environment may keep it, or write into it.
            action = self._controls.fit(control)
            _, reward, terminated, truncated, _ = _five(_unpacked(lambda: self._environment.step(action)))
            self._steps += 1
            total += number(f"the reward of its step {self._steps}", reward)
            ended = flag(f"`terminated` of its step {self._steps}", terminated)
            cut = flag(f"`truncated` of its step {self._steps}", truncated)
            timed_out = self._limit is not None and self._steps >= self._limit
            self.ended = ended or (cut and not timed_out)
        return total

    def render(self) -> np.ndarray:
        return self._pictures.frame(self._environment.render(), self.picture_side)


def _controls(environment: gymnasium.Env) -> Controls:
    space = environment.action_space
    if not isinstance(space, gymnasium.spaces.Box):
        before = type(space).__module__.partition(".")[0] == "gym"
        reason = f", of the package gym: {OLD_INTERFACE}" if before else ""
        raise RigError(
            f"its actions are {space}{reason}; a Box of one dimension with finite bounds can be driven: wrap the environment "
            "so that it takes one"
        )
    if len(space.shape) != 1:
        raise RigError(
            f"its actions are {space}; a Box of one dimension with finite bounds can be driven: wrap the environment so that "
            f"its Box has shape ({int(np.prod(space.shape))},)"
        )
    return Controls.of(space.low, space.high, space.shape, space.dtype)


def _wrapped(environment: gymnasium.Env) -> list[gymnasium.Env]:
    """The environment and what its wrappers hold, outermost first."""
    layers = [environment]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _check_reset(environment: gymnasium.Env) -> None:
    """A seed names an episode only if it reaches the innermost environment; and only we begin episodes."""
    for layer in _wrapped(environment):
        if isinstance(layer, gymnasium.wrappers.Autoreset):
            raise RigError("its wrapper Autoreset begins episodes by itself, in the middle of those that are recorded: leave it out")
        try:
            signature = inspect.signature(layer.reset)
        except (TypeError, ValueError):
            continue
        try:
            signature.bind(seed=0)
        except TypeError as error:
            raise RigError(
                f"reset of {type(layer).__name__} is reset{signature} and cannot be called as reset(seed=...), and a seed names "
                "an episode: write `def reset(self, *, seed=None, options=None)`"
            ) from error


def _time_limit(environment: gymnasium.Env) -> int | None:
    """Steps after which `truncated` is no end of the world but the environment's own limit of time."""
    limits = [getattr(getattr(environment, "spec", None), "max_episode_steps", None)]
    limits += [
        getattr(layer, "_max_episode_steps", None)
        for layer in _wrapped(environment)
        if isinstance(layer, gymnasium.wrappers.TimeLimit)
    ]
    counted = [limit for limit in limits if isinstance(limit, (int, np.integer)) and limit >= 1]
    return int(min(counted)) if counted else None


def _step_s(environment: gymnasium.Env) -> tuple[float, tuple[str, ...]]:
    """Seconds that a step takes, by `dt` or `metadata["render_fps"]`, and what is to be remarked about it."""
    step_s = getattr(getattr(environment, "unwrapped", environment), "dt", None)
    if callable(step_s):
        try:
            step_s = step_s()
        except TypeError as error:
            raise RigError(
                f"its `dt` is a method that cannot be called without arguments ({error}); make it a number of seconds"
            ) from error
    if step_s is not None:
        return _above_zero("its `dt`", step_s), ()
    metadata = getattr(environment, "metadata", None)
    fps = metadata.get("render_fps") if isinstance(metadata, Mapping) else None
    if fps is not None:
        return 1.0 / _above_zero("`render_fps` of its metadata", fps), ()
    return DEFAULT_PERIOD_S, (
        f"it declares no time step (no `dt`, no `render_fps` in its metadata), so {DEFAULT_PERIOD_S} s are assumed",
    )


def _above_zero(what: str, value: object) -> float:
    found = number(what, value)
    if found <= 0.0:
        raise RigError(f"{what} is {found:g}; a number above 0 is needed")
    return found


def _five(result: object) -> tuple:
    if isinstance(result, (tuple, list)) and len(result) == 5:
        return tuple(result)
    if isinstance(result, (tuple, list)) and len(result) == 4:
        raise RigError(f"its step returned 4 values: {OLD_INTERFACE}")
    raise RigError(f"its step returned {kind(result)}; (observation, reward, terminated, truncated, info) is needed")


def _unpacked(call):
    """The result of `call`; Gymnasium's own wrappers fail to unpack what an environment of the old interface returns."""
    try:
        return call()
    except ValueError as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if "values to unpack" in str(error) and "gymnasium" in last.filename:
            raise RigError(f"a wrapper of Gymnasium could not read what it returned ({error}): {OLD_INTERFACE}") from error
        raise
