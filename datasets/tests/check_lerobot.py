"""Holds our LeRobotDatasets against LeRobot's own package.

    pip install lerobot mcap mcap-protobuf-support foxglove-schemas-protobuf
    python check_lerobot.py read SET RUNS    # SET was made by `armillary export RUNS --out SET`
    python check_lerobot.py write SET        # writes one with LeRobot's recorder, for `armillary import`
    python check_lerobot.py imported SET RUNS  # RUNS were made by `armillary import SET --out RUNS`

`read` loads SET as LeRobot's training does and compares every action, goal, state, reward and picture with the logs, as the
public MCAP reader gives them: not one bit may differ. `imported` compares the other way, pictures within what decoders and
filters round.
"""

import json
import pathlib
import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def rows_of(log):
    from mcap.reader import make_reader
    from mcap_protobuf.decoder import DecoderFactory

    rows = {}
    with open(log, "rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for _, channel, message in reader.iter_messages(topics=["/actuate", "/capture/state"]):
            rows.setdefault(message.sequence, {})[channel.topic] = json.loads(message.data)
        for _, channel, message, decoded in reader.iter_decoded_messages(topics=["/capture", "/capture/joints"]):
            rows.setdefault(message.sequence, {})[channel.topic] = decoded
    return [rows[tick] for tick in sorted(rows)]


def f32(values):
    return np.array(values, np.float32)


def read(root, runs):
    dataset = LeRobotDataset("armillary/check", root=root)
    logs = sorted(pathlib.Path(runs).rglob("*.mcap"))
    assert dataset.num_episodes == len(logs), f"{dataset.num_episodes} episodes of {len(logs)} logs"
    index = 0
    for episode, log in enumerate(logs):
        for frame, row in enumerate(rows_of(log)):
            item = dataset[index]
            index += 1
            assert (item["episode_index"], item["frame_index"]) == (episode, frame)
            joints = row["/capture/joints"].joints
            expected = {
                "observation.state": f32([joint.position for joint in joints]),
                "action": f32(row["/actuate"]["set_point_rad"]),
                "armillary.action": f32(row["/actuate"]["action"]),
                "armillary.reward": f32(row["/capture/state"]["reward"]),
            }
            for name, value in expected.items():
                found = item[name].numpy()
                assert found.dtype == np.float32 and np.array_equal(found.reshape(value.shape), value), (
                    f"{log} frame {frame}, {name}: {found} instead of {value}"
                )
            picture = np.frombuffer(row["/capture"].data, np.uint8).reshape(64, 64, 3)
            found = np.round(item["observation.images.camera"].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
            assert np.array_equal(found, picture), f"{log} frame {frame}: the picture differs"
    assert index == len(dataset), f"{index} of {len(dataset)} frames compared"
    stats = dataset.meta.stats
    assert stats["action"]["mean"].shape == (len(joints),) and stats["observation.images.camera"]["std"].shape == (3, 1, 1)
    print(f"LeRobot reads {dataset.num_episodes} episodes, {len(dataset)} frames, tasks {list(dataset.meta.tasks.index)}: "
          "actions, states, rewards and pictures as in the logs, bit for bit")


def imported(root, runs):
    from PIL import Image

    # Its other decoder wants libraries of ffmpeg that a machine need not have.
    dataset = LeRobotDataset("armillary/check", root=root, video_backend="pyav")
    camera = dataset.meta.camera_keys[0]
    logs = sorted(pathlib.Path(runs).rglob("*.mcap"))
    assert dataset.num_episodes == len(logs), f"{dataset.num_episodes} episodes of {len(logs)} logs"
    index, worst, others = 0, 0.0, []
    for log in logs:
        before = None
        for frame, row in enumerate(rows_of(log)):
            item = dataset[index]
            index += 1
            position = f32([joint.position for joint in row["/capture/joints"].joints])
            assert np.array_equal(position, item["observation.state"].numpy()), f"{log} frame {frame}: another state"
            pixels = np.round(item[camera].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
            height, width = pixels.shape[:2]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            middle = Image.fromarray(pixels[top : top + side, left : left + side])
            theirs = np.asarray(middle.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
            ours = np.frombuffer(row["/capture"].data, np.uint8).reshape(64, 64, 3).astype(int)
            apart = np.abs(ours - theirs).mean()
            worst = max(worst, apart)
            assert apart < 2.0, f"{log} frame {frame}: the picture is another, by {apart:.2f} grey levels"
            if before is not None:
                other = np.abs(ours - before).mean()
                others.append(other)
                assert apart < other + 0.1, f"{log} frame {frame}: is rather the frame before"
            before = theirs
    assert index == len(dataset), f"{index} of {len(dataset)} frames compared"
    # Else the frame before would have passed as well.
    assert np.mean(others) > worst, f"frames do not tell: {np.mean(others):.2f} apart from the one before"
    print(f"{len(dataset)} imported frames: states bit for bit, pictures {worst:.3f} grey levels apart at most in the mean "
          f"({np.mean(others):.2f} from the frame before)")


def write(root, videos):
    """A dot that two goals lead over a square, by LeRobot's own recorder."""
    features = {
        "observation.state": {"dtype": "float32", "shape": (2,), "names": ["pan.pos", "tilt.pos"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["pan.pos", "tilt.pos"]},
        "observation.images.front": {
            "dtype": "video" if videos else "image",
            "shape": (96, 128, 3),
            "names": ["height", "width", "channels"],
        },
        "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create(
        "armillary/made", fps=10, features=features, root=root, robot_type="pan_tilt", use_videos=videos
    )
    random = np.random.default_rng(5)
    for _ in range(8):
        state = random.uniform(-60, 60, 2)
        for _ in range(40):
            goal = np.clip(state + random.normal(0, 15, 2), -90, 90)
            picture = np.full((96, 128, 3), 40, np.uint8)
            row, column = (48 - state[1] * 0.4).astype(int), (64 + state[0] * 0.4).astype(int)
            picture[row - 5 : row + 5, column - 5 : column + 5] = (220, 90, 30)
            state = state + 0.6 * (goal - state)
            reward = np.float32(1 - np.tanh(np.linalg.norm(state) / 45))
            dataset.add_frame(
                {
                    "observation.state": state.astype(np.float32),
                    "action": goal.astype(np.float32),
                    "observation.images.front": picture,
                    "next.reward": np.array([reward], np.float32),
                    "task": "centre the dot",
                }
            )
        dataset.save_episode()
    dataset.finalize()
    print(f"LeRobot wrote {dataset.num_episodes} episodes, {dataset.num_frames} frames into {root}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["read", root, runs]:
            read(root, runs)
        case ["imported", root, runs]:
            imported(root, runs)
        case ["write", root]:
            write(root, videos=False)
        case ["write-video", root]:
            write(root, videos=True)
        case _:
            sys.exit(__doc__)
