"""The pipe to Armillary: requests on standard input, answers on standard output, all numbers little-endian.

At the start the magic `ARMP`, a protocol version (u32), a length (u32) and the plant's spec as JSON. Then for each request
one answer: a status byte, 0 and the payload, or 1, a length (u32) and a message.

| request | payload | answer |
|---|---|---|
| `R` reset | seed u64 | |
| `S` step | controls f32 x actuators | reward f32, 1 byte: 1 if the episode ended by itself |
| `P` picture | side u32 | side x side x 3 bytes |
| `F` futures | candidates u32, horizon u32, controls f32 | returns f32 x candidates |
| `Q` quit | | none: the process ends |
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import sys
import traceback
from typing import BinaryIO

import numpy as np

from armillary_bridge.errors import RigError, told
from armillary_bridge.pictures import SIDE_MIN, Pictures
from armillary_bridge.plant import FRAME_SIDE_MAX, Plant
from armillary_bridge.values import flag, number

MAGIC = b"ARMP"
PROTOCOL_VERSION = 3
TEXT_MAX_BYTES = 1 << 16


def claim_pipe() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone.

    What an environment prints goes to standard error, and what it reads from standard input is at its end.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, answers


def fail(answers: BinaryIO, error: BaseException) -> None:
    """Says why there will be no plant."""
    text = _text(error)
    answers.write(MAGIC + struct.pack("<II", 0, len(text)) + text)
    answers.flush()


def serve(plant: Plant, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until told to quit or until nobody asks any more."""
    text = json.dumps(dataclasses.asdict(plant.spec)).encode()
    answers.write(MAGIC + struct.pack("<II", PROTOCOL_VERSION, len(text)) + text)
    answers.flush()
    answering = _Answering(plant, requests)
    while (tag := requests.read(1)) not in (b"", b"Q"):
        try:
            payload = b"\0" + answering.answer(tag)
        except EOFError:
            return
        # The environment's own code: whatever it raises is told to the other side.
        except (Exception, SystemExit) as error:
            text = _text(error, answering.when(tag))
            payload = b"\1" + struct.pack("<I", len(text)) + text
        answers.write(payload)
        answers.flush()


class _Answering:
    """Answers one request after the other, and holds what the plant gives against what the other side takes."""

    def __init__(self, plant: Plant, requests: BinaryIO) -> None:
        self._plant, self._requests = plant, requests
        self._pictures, self._side = Pictures(), None
        # Control periods since the last reset, the present one included: the log's number of the row that this leads to.
        self._tick = 0

    def when(self, tag: bytes) -> str:
        return f"tick {self._tick}: " if tag in (b"S", b"P") else ""

    def answer(self, tag: bytes) -> bytes:
        joints = len(self._plant.spec.actuators)
        match tag:
            case b"R":
                (seed,) = struct.unpack("<Q", self._read(8))
                self._tick = 0
                self._plant.reset(seed)
                return b""
            case b"S":
                control = np.frombuffer(self._read(4 * joints), "<f4").astype(np.float64)
                self._tick += 1
                reward = number("its reward", self._plant.step(control))
                return struct.pack("<f?", reward, flag("`ended`", self._plant.ended))
            case b"P":
                (side,) = struct.unpack("<I", self._read(4))
                return self._picture(side).tobytes()
            case b"F":
                candidates, horizon = struct.unpack("<II", self._read(8))
                raw = self._read(4 * candidates * horizon * joints)
                controls = np.frombuffer(raw, "<f4").astype(np.float64)
                returns = np.asarray(self._plant.returns(controls.reshape(candidates, horizon, joints)), "<f4")
                if returns.shape != (candidates,):
                    raise RigError(f"its returns have shape {returns.shape}; one number for each of {candidates} candidates is needed")
                return returns.tobytes()
        raise ValueError(f"request {tag!r} is not of protocol version {PROTOCOL_VERSION}")

    def _picture(self, side: int) -> np.ndarray:
        if not SIDE_MIN <= side <= FRAME_SIDE_MAX:
            raise RigError(f"pictures of {side} x {side} are asked for; {SIDE_MIN} to {FRAME_SIDE_MAX} pixels a side can be drawn")
        if side != self._side:
            # A plant may draw at the side that is asked for: what was said of the size of the pictures before does not hold.
            self._pictures, self._side = Pictures(), side
        try:
            self._plant.picture_side = side
        except AttributeError:
            # It cannot be told, and need not be: its pictures are brought to that side.
            pass
        return self._pictures.frame(self._plant.render(), side)

    def _read(self, count: int) -> bytes:
        data = self._requests.read(count)
        if len(data) != count:
            raise EOFError
        return data


def _text(error: BaseException, when: str = "") -> bytes:
    """What is sent about `error`; the whole of one that nobody foresaw is printed too."""
    if not isinstance(error, RigError):
        traceback.print_exception(error)
    text = (when + told(error)).encode(errors="backslashreplace")[:TEXT_MAX_BYTES]
    # The cut may be within a character.
    return text.decode(errors="ignore").encode()
