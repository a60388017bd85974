"""Plants by name."""

from __future__ import annotations

import importlib

from armillary_bridge.plant import Plant


def open_rig(name: str) -> Plant:
    """`dmc:DOMAIN-TASK`, `gym:ID` or `py:MODULE:FUNCTION`, with `@N` behind it for an action repeat of N."""
    rest, _, repeat_text = name.partition("@")
    repeat = None
    if repeat_text:
        if not repeat_text.isdigit() or int(repeat_text) < 1:
            raise ValueError(f"{name}: the action repeat behind @ is a whole number from 1 on")
        repeat = int(repeat_text)
    kind, _, what = rest.partition(":")
    if kind == "dmc" and what:
        from armillary_bridge.dmc import load

        return load(name, what, repeat)
    if kind == "gym" and what:
        import gymnasium

        from armillary_bridge.gym import GymPlant

        return GymPlant(name, gymnasium.make(what, render_mode="rgb_array"), repeat or 1)
    if kind == "py" and what.count(":") == 1:
        module, function = what.split(":")
        return adapt(name, getattr(importlib.import_module(module), function)(), repeat or 1)
    raise ValueError(f"`{name}` names no rig: write dmc:DOMAIN-TASK, gym:ID or py:MODULE:FUNCTION")


def adapt(name: str, environment: object, repeat: int) -> Plant:
    """The plant that an environment is: a `Plant` already, dm_control's, or Gymnasium's."""
    if isinstance(environment, Plant):
        if repeat != 1:
            raise ValueError(f"{name}: a Plant repeats actions by itself; leave @{repeat} out")
        return environment
    if hasattr(environment, "physics") and hasattr(environment, "_step_limit"):
        from armillary_bridge.dmc import DmcPlant

        return DmcPlant(name, environment, repeat)
    if hasattr(environment, "action_space"):
        from armillary_bridge.gym import GymPlant

        return GymPlant(name, environment, repeat)
    raise TypeError(f"{name}: {type(environment).__name__} is neither a Plant, a dm_control.rl.control.Environment nor a gymnasium.Env")
