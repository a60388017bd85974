"""What is said of an environment that cannot be driven."""

from __future__ import annotations

import os
import pathlib
import sysconfig
import traceback

MESSAGE_MAX = 2000
"""Characters of a foreign exception's text that are passed on: what comes after it must not be lost."""

_PACKAGE = pathlib.Path(__file__).resolve().parent
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


class RigError(Exception):
    """A complaint about the user's environment: what it does, what is expected, and what to change."""


def told(error: BaseException) -> str:
    """The text for the other side: a `RigError` as it stands, anything else with its type and the user's file and line."""
    if isinstance(error, RigError):
        return str(error)
    if isinstance(error, SystemExit):
        text = f"it ended the program with sys.exit({error.code!r})"
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return text[:MESSAGE_MAX] + _place(frames) + _about_drawing(frames, text)


def kind(value: object) -> str:
    """What `value` is, in a few words: for arrays their number type and shape, otherwise its type."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"an array of {dtype} with shape {tuple(shape)}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"{type(value).__name__} {value!r:.80}"


def _about_drawing(frames: traceback.StackSummary, text: str) -> str:
    """What helps where a library for drawing fails: which one it is, is a variable's to say."""
    folders = {part for frame in frames for part in pathlib.Path(frame.filename).parent.parts}
    if "OpenGL" not in text and not folders & {"OpenGL", "_render"}:
        return ""
    return (
        f"; pictures are drawn with OpenGL, and the variable MUJOCO_GL (now {os.environ.get('MUJOCO_GL', 'not set')}) says by which "
        "library: egl, osmesa or glfw"
    )


def _place(frames: traceback.StackSummary) -> str:
    """The innermost line of the user's own code, or of a library where none of it was running."""
    files = [frame for frame in frames if not frame.filename.startswith("<")]
    others = [frame for frame in files if _PACKAGE not in pathlib.Path(frame.filename).parents]
    users = [frame for frame in others if not frame.filename.startswith(_LIBRARIES)]
    if not others:
        return ""
    frame = (users or others)[-1]
    return f" ({frame.filename}, line {frame.lineno}, in {frame.name})"
