"""Steps dm_control itself beside a log that `armillary record --rig dmc:...` wrote: rewards and pictures must be the same.

`check_rig.py TASK FOLDER`: the folder holds `episode.json` (seed, the actions sent, the rewards logged) and `frames.rgb`. Only
dm_control's own interface is used here, none of the bridge's code.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
from dm_control import suite

REPEAT = {"cartpole": 8, "reacher": 4}

task, folder = sys.argv[1], pathlib.Path(sys.argv[2])
log = json.loads((folder / "episode.json").read_text())
frames = np.fromfile(folder / "frames.rgb", np.uint8).reshape(-1, 64, 64, 3)
domain, _, name = task.partition("-")
environment = suite.load(domain, name)
environment.task.random.seed(np.random.SeedSequence(log["seed"]).generate_state(4))
environment.reset()
environment.physics.model.vis.quality.shadowsize = 512
spec = environment.action_spec()


def picture():
    return environment.physics.render(64, 64, camera_id=0)


assert len(frames) == len(log["actions"]) + 1 == len(log["rewards"]), "a frame and a reward more than actions"
assert np.array_equal(frames[0], picture()), "the first frame is another"
worst = 0.0
for tick, action in enumerate(log["actions"], 1):
    control = spec.minimum + (np.array(action) + 1.0) / 2.0 * (spec.maximum - spec.minimum)
    reward = sum(environment.step(control).reward for _ in range(REPEAT[domain]))
    worst = max(worst, abs(reward - log["rewards"][tick]))
    assert worst < 1e-5, f"tick {tick}: dm_control rewards {reward}, the log says {log['rewards'][tick]}"
    apart = np.abs(frames[tick].astype(int) - picture()).max()
    assert apart <= 1, f"tick {tick}: the frame is another, by {apart} grey levels"
print(f"{task}: {len(log['actions'])} periods beside dm_control itself: rewards apart by {worst:.1e} at most, frames alike")
