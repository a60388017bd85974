"""Environments that are each odd in one way: `py:odd:NAME`."""

import os
import sys

import gymnasium
import numpy as np

from armillary_bridge import Actuator, Plant, Spec

AT_IMPORT = os.environ.get("MUJOCO_GL")


class Sound(gymnasium.Env):
    """A Gymnasium environment with nothing odd: it holds its caller to its action space."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    render_mode = "rgb_array"
    reward = 1.0
    terminated = False
    picture = np.full((80, 80, 3), 100, np.uint8)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.steps += 1
        return np.zeros(1, np.float32), self.reward, self.terminated, False, {}

    def render(self):
        return self.picture


def sound(**attributes):
    """A `Sound` with other attributes."""
    return type("Odd", (Sound,), attributes)()


class NanInTheThirdStep(Sound):
    @property
    def reward(self):
        return float("nan") if self.steps == 3 else 1.0


class Raises(Sound):
    def step(self, action):
        raise RuntimeError("the gripper does not answer")


class TalksTooMuch(Sound):
    def step(self, action):
        raise RuntimeError("much \udcff" * 1_000_000)


class Exits(Sound):
    def step(self, action):
        sys.exit(7)


class Prints(Sound):
    """Prints by three ways, and reads what is not for it."""

    def step(self, action):
        print("printed")
        os.write(1, b"written\n")
        assert sys.stdin.read() == ""
        return super().step(action)


class ExplainsGl(Sound):
    def step(self, action):
        raise RuntimeError(f"MUJOCO_GL was {AT_IMPORT}")


class Old(Sound):
    """The interface from before Gymnasium."""

    def reset(self, seed=None):
        self.steps = 0
        return np.zeros(1, np.float32)


class OldStep(Sound):
    def step(self, action):
        return super().step(action)[:4]


def old_step_wrapped():
    return gymnasium.wrappers.TimeLimit(OldStep(), 7)


class NoSeed(Sound):
    def reset(self):
        return super().reset()


def no_seed_wrapped():
    return gymnasium.wrappers.TimeLimit(NoSeed(), 7)


def resets_itself():
    return gymnasium.wrappers.Autoreset(Sound())


class ChangesActions(Sound):
    def reset(self, *, seed=None, options=None):
        self.action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,))
        return super().reset()


def needs(arguments):
    return Sound()


def imports_what_is_not_there():
    import a_package_that_is_not_here


def nothing():
    return None


not_callable = 3


class Closed(Plant):
    """A plant that cannot be told which side is asked for."""

    spec = Spec("closed", (Actuator("push", -1, 1),), 0.1, 1, 5, "tests")

    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set")

    def reset(self, seed):
        pass

    def step(self, control):
        return 1.0

    def render(self):
        return Sound.picture
