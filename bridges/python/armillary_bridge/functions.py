"""The user's function behind `py:MODULE:FUNCTION`."""

from __future__ import annotations

import difflib
import importlib
import inspect

from armillary_bridge.errors import RigError, kind


def made(module_name: str, function_name: str) -> object:
    """What the function returns. Raises `RigError` where there is no such module or function, or it takes arguments."""
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is missing inside the user's own is another matter.
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise RigError(
            f"Python finds no module `{error.name}`; start armillary in the folder that has it, or name that folder in PYTHONPATH"
        ) from error
    if not hasattr(module, function_name):
        near = difflib.get_close_matches(function_name, dir(module))
        hint = f"; it has {', '.join(near)}" if near else ""
        raise RigError(f"module `{module_name}` ({getattr(module, '__file__', 'built in')}) has no `{function_name}`{hint}")
    function = getattr(module, function_name)
    if not callable(function):
        raise RigError(
            f"{module_name}.{function_name} is {kind(function)}, which cannot be called; name a function that returns an environment"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        signature = None
    if signature is not None:
        try:
            signature.bind()
        except TypeError as error:
            raise RigError(
                f"{module_name}.{function_name}{signature} needs arguments, and it is called with none; name a function that gives "
                "them by itself"
            ) from error
    return function()
