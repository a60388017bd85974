"""The pipe to Armillary: requests on standard input, answers on standard output, all numbers little-endian.

At the start the magic `ARMP`, a protocol version (u32), a length (u32) and the plant's spec as JSON. Then for each request
one answer: a status byte, 0 and the payload, or 1, a length (u32) and a message.

| request | payload | answer |
|---|---|---|
| `R` reset | seed u64 | |
| `S` step | controls f32 x actuators | reward f32, 1 byte: 1 if the episode ended by itself |
| `P` picture | | 64 x 64 x 3 bytes |
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

from armillary_bridge.plant import FRAME_SIDE, Plant

MAGIC = b"ARMP"
PROTOCOL_VERSION = 2


def claim_pipe() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone: what an environment prints goes to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def fail(answers: BinaryIO, message: str) -> None:
    """Says why there will be no plant."""
    text = message.encode()
    answers.write(MAGIC + struct.pack("<II", 0, len(text)) + text)
    answers.flush()


def serve(plant: Plant, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until told to quit or until nobody asks any more."""
    text = json.dumps(dataclasses.asdict(plant.spec)).encode()
    answers.write(MAGIC + struct.pack("<II", PROTOCOL_VERSION, len(text)) + text)
    answers.flush()
    while (tag := requests.read(1)) not in (b"", b"Q"):
        try:
            payload = b"\0" + _answer(plant, tag, requests)
        except EOFError:
            return
        except Exception as error:  # The environment's own code: whatever it raises is told to the other side.
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}".encode()
            payload = b"\1" + struct.pack("<I", len(message)) + message
        answers.write(payload)
        answers.flush()


def _answer(plant: Plant, tag: bytes, requests: BinaryIO) -> bytes:
    joints = len(plant.spec.actuators)
    match tag:
        case b"R":
            (seed,) = struct.unpack("<Q", _read(requests, 8))
            plant.reset(seed)
            return b""
        case b"S":
            control = np.frombuffer(_read(requests, 4 * joints), "<f4").astype(np.float64)
            reward = plant.step(control)
            return struct.pack("<f?", reward, plant.ended)
        case b"P":
            picture = np.asarray(plant.render())
            if picture.shape != (FRAME_SIDE, FRAME_SIDE, 3) or picture.dtype != np.uint8:
                raise ValueError(f"the picture is {picture.dtype} {picture.shape}, not uint8 (64, 64, 3)")
            return picture.tobytes()
        case b"F":
            candidates, horizon = struct.unpack("<II", _read(requests, 8))
            raw = _read(requests, 4 * candidates * horizon * joints)
            controls = np.frombuffer(raw, "<f4").astype(np.float64)
            returns = plant.returns(controls.reshape(candidates, horizon, joints))
            return np.asarray(returns, "<f4").tobytes()
    raise ValueError(f"request {tag!r} is not of protocol version {PROTOCOL_VERSION}")


def _read(requests: BinaryIO, count: int) -> bytes:
    data = requests.read(count)
    if len(data) != count:
        raise EOFError
    return data
