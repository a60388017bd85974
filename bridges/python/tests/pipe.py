"""The other side of the pipe, for tests: starts a rig in a process of its own and asks it."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile


class Refused(Exception):
    """The rig's own words."""


class Pipe:
    def __init__(self, rig, **environment):
        here = str(pathlib.Path(__file__).parent)
        inherited = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
        # A file takes any amount without being read meanwhile.
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "armillary_bridge", rig],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env={**inherited, "PYTHONPATH": here, **environment},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.said.close()

    def read(self, count):
        data = self.process.stdout.read(count)
        assert len(data) == count, self.printed()
        return data

    def greeting(self):
        assert self.read(4) == b"ARMP"
        version, length = struct.unpack("<II", self.read(8))
        text = self.read(length).decode()
        if version == 0:
            raise Refused(text)
        assert version == 3
        return json.loads(text)

    def ask(self, request, count=0):
        self.process.stdin.write(request)
        self.process.stdin.flush()
        if self.read(1) == b"\0":
            return self.read(count)
        raise Refused(self.read(struct.unpack("<I", self.read(4))[0]).decode())

    def reset(self, seed=1):
        self.ask(b"R" + struct.pack("<Q", seed))

    def step(self, *control):
        return struct.unpack("<f?", self.ask(b"S" + struct.pack(f"<{len(control)}f", *control), 5))

    def picture(self, side=64):
        return self.ask(b"P" + struct.pack("<I", side), side * side * 3)

    def quit(self):
        """Ends it; returns its exit status and what it printed."""
        self.process.stdin.write(b"Q")
        self.process.communicate(timeout=20)
        return self.process.returncode, self.printed()

    def printed(self):
        self.said.seek(0)
        return self.said.read().decode()
