"""Plants by name."""

from __future__ import annotations

import os
import sys

from armillary_bridge.errors import RigError, kind
from armillary_bridge.functions import made
from armillary_bridge.plant import Plant, Spec


def open_rig(name: str) -> Plant:
    """`dmc:DOMAIN-TASK`, `gym:ID` or `py:MODULE:FUNCTION`, with `@N` behind it for an action repeat of N.

    Raises `RigError` for an environment that cannot be driven, and whatever the environment's own code raises.
    """
    prepare_drawing()
    if any(character.isspace() for character in name):
        raise RigError("its name has a blank in it; write dmc:DOMAIN-TASK, gym:ID or py:MODULE:FUNCTION without one")
    rest, at, repeat_text = name.partition("@")
    repeat = None
    if at:
        if not (repeat_text.isascii() and repeat_text.isdigit()) or int(repeat_text) < 1:
            raise RigError("the action repeat behind @ is a whole number from 1 on")
        repeat = int(repeat_text)
    kind_of_rig, _, what = rest.partition(":")
    if kind_of_rig == "dmc" and what:
        from armillary_bridge.dmc import load

        return load(name, what, repeat)
    if kind_of_rig == "gym" and what:
        return _gym(name, what, repeat or 1)
    if kind_of_rig == "py" and what.count(":") == 1 and all(what.split(":")):
        return adapt(name, made(*what.split(":")), repeat or 1)
    raise RigError("it names no rig: write dmc:DOMAIN-TASK, gym:ID or py:MODULE:FUNCTION")


def prepare_drawing() -> None:
    """Has pictures drawn in memory, unless the user chose otherwise: libraries look at these variables when they are imported."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl")


def adapt(name: str, environment: object, repeat: int) -> Plant:
    """The plant that an environment is: a `Plant` already, dm_control's, or Gymnasium's."""
    if isinstance(environment, Plant):
        if repeat != 1:
            raise RigError(f"a Plant repeats actions by itself; leave @{repeat} out")
        if not isinstance(getattr(environment, "spec", None), Spec):
            raise RigError(f"its `spec` is {kind(getattr(environment, 'spec', None))}; a Plant has an armillary_bridge.Spec")
        return environment
    if hasattr(environment, "physics") and hasattr(environment, "_step_limit"):
        from armillary_bridge.dmc import DmcPlant

        return DmcPlant(name, environment, repeat)
    if hasattr(environment, "action_space"):
        from armillary_bridge.gym import GymPlant

        return GymPlant(name, environment, repeat)
    raise RigError(
        f"its function returned {kind(environment)}, which is neither a Plant, a dm_control.rl.control.Environment nor a "
        "gymnasium.Env: return one of them"
    )


def _gym(name: str, what: str, repeat: int) -> Plant:
    import gymnasium

    from armillary_bridge.gym import GymPlant

    try:
        environment = gymnasium.make(what, render_mode="rgb_array")
    except gymnasium.error.Error as error:
        raise RigError(f"Gymnasium cannot make `{what}`: {error}") from error
    return GymPlant(name, environment, repeat)
