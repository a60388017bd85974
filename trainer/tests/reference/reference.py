"""PlaNet's networks, cells and loss terms in plain numpy: double precision, loops, no thought for speed.

Writes `reference.npz`: weights, a batch and noise, and what each definition makes of them, directional derivatives of the
whole loss (by central differences) included; and `sides.npz`, the same of models of larger pictures. The trainer's tests feed the
same numbers to LibTorch. To be run again only if a definition changes: `python reference.py`, with numpy.

Time runs from 0; `action[t]` caused `frame[t]` and `reward[t]` (Hafner et al. 2019, arXiv 1811.04551).
"""

import io
import pathlib
import zipfile

import numpy as np

LENGTH, BATCH, ACTION, DEPTH = 6, 2, 2, 1
STOCHASTIC, BELIEF, HIDDEN = 4, 5, 6
MIN_STD = 0.1
EMBEDDING = 32 * DEPTH
# Of each side of a picture: kernels of the encoder and of the decoder, and how many times DEPTH channels the encoder's layers
# give. The decoder's go back the same way.
LAYERS = {
    64: ([4, 4, 4, 4], [5, 5, 6, 6], [1, 2, 4, 8]),
    96: ([4, 4, 4, 4, 2], [3, 5, 5, 6, 6], [1, 2, 4, 8, 8]),
    128: ([4, 4, 4, 4, 4], [5, 5, 5, 6, 6], [1, 2, 4, 8, 8]),
}

rng = np.random.default_rng(20191107)
out = {}


def given(name, *shape, scale=1.0):
    """A random input, rounded to what single precision holds."""
    out[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return out[name].astype(np.float64)


def found(name, value):
    out[name] = np.asarray(value, np.float64)


def softplus(x):
    return np.logaddexp(0.0, x)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0.0)


def gaussian(raw):
    mean, std = np.split(raw, 2, -1)
    return mean, softplus(std) + MIN_STD


def kl(q, p):
    """Of diagonal Gaussians, q from p, summed over dimensions."""
    (qm, qs), (pm, ps) = q, p
    return np.sum(np.log(ps / qs) + (qs**2 + (qm - pm) ** 2) / (2.0 * ps**2) - 0.5, -1)


class Model:
    """`rssm`: both paths. `ssm`: no memory but the sample. `rnn`: no sampling. Names of its weights begin with `name`."""

    def __init__(self, design, name=None, pixels=True, joints=False, side=64):
        self.design = design
        self.name = name or design
        self.pixels, self.joints = pixels, joints
        self.weights = {}
        features = STOCHASTIC + (0 if design == "ssm" else BELIEF)
        d = DEPTH
        self.side = side
        encoder_kernels, decoder_kernels, widths = LAYERS[side]
        channels = [3, *(d * width for width in widths)]
        observed = (EMBEDDING if pixels else 0) + (2 * ACTION if joints else 0)
        for i, (inputs, outputs, k) in enumerate(zip(channels, channels[1:], encoder_kernels)):
            if pixels:
                self.add(f"encoder.{i}", (outputs, inputs, k, k), outputs)
        self.dense("input", STOCHASTIC + ACTION, HIDDEN)
        if design != "ssm":
            for name, shape in [("w_input", (3 * BELIEF, HIDDEN)), ("w_state", (3 * BELIEF, BELIEF))]:
                self.weights["gru." + name] = given(f"{self.name}.gru.{name}", *shape, scale=0.5)
            for name in ["b_input", "b_state"]:
                self.weights["gru." + name] = given(f"{self.name}.gru.{name}", 3 * BELIEF, scale=0.3)
        if design == "ssm":
            self.dense("prior.0", HIDDEN, 2 * STOCHASTIC)
        else:
            self.dense("prior.0", BELIEF, HIDDEN)
            self.dense("prior.1", HIDDEN, 2 * STOCHASTIC)
        self.dense("posterior.0", (2 * STOCHASTIC if design == "ssm" else BELIEF) + observed, HIDDEN)
        self.dense("posterior.1", HIDDEN, 2 * STOCHASTIC)
        self.dense("reward.0", features, HIDDEN)
        self.dense("reward.1", HIDDEN, 1)
        if pixels:
            self.dense("decoder.dense", features, 32 * d)
        back = [32 * d, *channels[-2::-1]]
        for i, (inputs, outputs, k) in enumerate(zip(back, back[1:], decoder_kernels)):
            if pixels:
                self.add(f"decoder.{i}", (inputs, outputs, k, k), outputs)
        if joints:
            self.dense("joints.0", features, HIDDEN)
            self.dense("joints.1", HIDDEN, 2 * ACTION)

    def add(self, name, shape, outputs):
        scale = 0.2 if "coder" in name else 0.4
        self.weights[name + ".weight"] = given(f"{self.name}.{name}.weight", *shape, scale=scale)
        self.weights[name + ".bias"] = given(f"{self.name}.{name}.bias", outputs, scale=0.2)

    def dense(self, name, inputs, outputs):
        self.add(name, (outputs, inputs), outputs)

    def apply(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def encode(self, x):
        for i, k in enumerate(LAYERS[self.side][0]):
            weight, bias = self.weights[f"encoder.{i}.weight"], self.weights[f"encoder.{i}.bias"]
            windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::2, ::2]
            x = relu(np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None])
        return x.reshape(len(x), -1)

    def decode(self, features):
        x = self.apply("decoder.dense", features)[:, :, None, None]
        last = len(LAYERS[self.side][1]) - 1
        for i in range(last + 1):
            weight, bias = self.weights[f"decoder.{i}.weight"], self.weights[f"decoder.{i}.bias"]
            k, side = weight.shape[2], x.shape[2]
            y = np.zeros((len(x), weight.shape[1], 2 * (side - 1) + k, 2 * (side - 1) + k))
            for a in range(k):
                for b in range(k):
                    y[:, :, a : a + 2 * side - 1 : 2, b : b + 2 * side - 1 : 2] += np.einsum(
                        "nchw,co->nohw", x, weight[:, :, a, b]
                    )
            y += bias[:, None, None]
            x = y if i == last else relu(y)
        return x

    def recur(self, h, s, action):
        x = relu(self.apply("input", np.concatenate([s, action], -1)))
        if self.design == "ssm":
            # The authors' ssm.py: a hidden layer from the last sample and the action, and from there the prior.
            return x
        # Reset gate after the recurrent product; gates in the order reset, update, new.
        w = self.weights
        from_input = np.split(x @ w["gru.w_input"].T + w["gru.b_input"], 3, -1)
        from_state = np.split(h @ w["gru.w_state"].T + w["gru.b_state"], 3, -1)
        reset = sigmoid(from_input[0] + from_state[0])
        update = sigmoid(from_input[1] + from_state[1])
        new = np.tanh(from_input[2] + reset * from_state[2])
        return (1.0 - update) * new + update * h

    def prior(self, h):
        if self.design == "ssm":
            return gaussian(self.apply("prior.0", h))
        return gaussian(self.apply("prior.1", relu(self.apply("prior.0", h))))

    def posterior(self, h, embedding):
        known = self.prior(h) if self.design == "ssm" else (h,)
        x = np.concatenate([*known, embedding], -1)
        return gaussian(self.apply("posterior.1", relu(self.apply("posterior.0", x))))

    def sample(self, distribution, noise):
        mean, std = distribution
        return mean if self.design == "rnn" else mean + std * noise

    def features(self, h, s):
        return s if self.design == "ssm" else np.concatenate([s, h], -1)

    def reward(self, features):
        return self.apply("reward.1", relu(self.apply("reward.0", features)))[..., 0]

    def predict_joints(self, features):
        return self.apply("joints.1", relu(self.apply("joints.0", features)))

    def observe(self):
        """A picture's embedding, then the joints, as far as they are seen."""
        parts = []
        if self.pixels:
            parts.append(self.encode(images.reshape(-1, *images.shape[2:])).reshape(LENGTH, BATCH, -1))
        if self.joints:
            parts.append(joints)
        return np.concatenate(parts, -1)

    def filter(self):
        embedding = self.observe()
        h, s = np.zeros((BATCH, HIDDEN if self.design == "ssm" else BELIEF)), np.zeros((BATCH, STOCHASTIC))
        steps = []
        for t in range(LENGTH):
            h = self.recur(h, s, action[t])
            q, p = self.posterior(h, embedding[t]), self.prior(h)
            s = self.sample(q, noise[t])
            steps.append((h, s, q, p))
        return steps


def image_error(model, features, images):
    return 0.5 * np.mean(np.sum((model.decode(features) - images) ** 2, (1, 2, 3)))


def joints_error(model, features, state):
    return 0.5 * np.mean(np.sum((model.predict_joints(features) - state) ** 2, -1))


def terms(model, switches, still=None):
    """Every term of the loss, and their sum. `still` is what the filter found where something is to have no gradient."""
    steps = model.filter()
    still = still or steps
    free = switches.get("free_nats", 0.0)
    features = [model.features(h, s) for h, s, _, _ in steps]
    divergence = np.array([kl(q, p) for _, _, q, p in steps])
    t = {
        "reward_mse": np.mean([(model.reward(features[i]) - reward[i]) ** 2 for i in range(LENGTH)]),
        "kl": np.mean(divergence),
    }
    t["loss"] = 0.0
    if model.pixels:
        t["image"] = image_error(model, np.concatenate(features), images.reshape(-1, *images.shape[2:]))
        t["loss"] += switches.get("image_scale", 1.0) * t["image"]
    if model.joints:
        t["joints"] = joints_error(model, np.concatenate(features), joints.reshape(-1, 2 * ACTION))
        t["loss"] += switches.get("joints_scale", 1.0) * t["joints"]
    t["loss"] += (
        0.5 * switches.get("reward_scale", 10.0) * t["reward_mse"]
        + switches.get("kl_scale", 1.0) * balanced(steps, still, switches)
    )
    if switches.get("global_kl_scale", 0.0) > 0:
        standard = (np.zeros((BATCH, STOCHASTIC)), np.ones((BATCH, STOCHASTIC)))
        t["global_kl"] = np.mean([kl(q, standard) for _, _, q, _ in steps])
        t["loss"] += switches["global_kl_scale"] * t["global_kl"]
    most = switches.get("overshooting_distance", 0)
    if most > 0:
        # Every start time, every distance, one rollout after the other: from the posterior at t, d steps of the prior,
        # compared with the posterior, the reward and the image of t + d. Every distance counts alike, unless the KL of the
        # first has a weight of its own.
        kls, lost, rewards, pictures, states = ({d: [] for d in range(1, most + 1)} for _ in range(5))
        for start in range(LENGTH - 1):
            h, s = steps[start][:2]
            for d in range(1, min(most, LENGTH - 1 - start) + 1):
                h = model.recur(h, s, action[start + d])
                p = model.prior(h)
                target = still if switches["overshooting_stop_posterior_gradient"] else steps
                each = kl(target[start + d][2], p)
                kls[d].append(each)
                lost[d].append(np.maximum(each, free))
                s = model.sample(p, open_noise[start, d])
                rewards[d].append((model.reward(model.features(h, s)) - reward[start + d]) ** 2)
                if model.pixels:
                    pictures[d].append(image_error(model, model.features(h, s), images[start + d]))
                if model.joints:
                    states[d].append(joints_error(model, model.features(h, s), joints[start + d]))
        mean = lambda by_distance: np.mean([np.mean(values) for values in by_distance.values()])
        t["overshooting_kl"], t["open_loop_reward_mse"] = mean(kls), mean(rewards)
        if model.pixels:
            t["open_loop_image"] = mean(pictures)
            t["loss"] += switches.get("image_scale", 1.0) * switches["overshooting_image_scale"] * t["open_loop_image"]
        if model.joints:
            t["open_loop_joints"] = mean(states)
            t["loss"] += switches.get("joints_scale", 1.0) * switches["overshooting_joints_scale"] * t["open_loop_joints"]
        beta = lambda d: switches.get("overshooting_beta_1", 1.0) if d == 1 else 1.0
        weighted = np.mean([beta(d) * np.mean(values) for d, values in lost.items()])
        t["loss"] += (
            switches["overshooting_scale"] * weighted
            + 0.5 * switches.get("reward_scale", 10.0) * switches["overshooting_reward_scale"] * mean(rewards)
        )
    return t


def balanced(steps, still, switches):
    """KL with free nats: a share of its gradient moves the prior, the rest the posterior."""
    lost = lambda q, p: np.mean([np.maximum(kl(a[2], b[3]), switches.get("free_nats", 0.0)) for a, b in zip(q, p)])
    balance = switches.get("kl_balance")
    if balance is None:
        return lost(steps, steps)
    return balance * lost(still, steps) + (1.0 - balance) * lost(steps, still)


def slope(model, switches):
    """Derivative of the loss along a direction in the space of all weights."""
    still = model.filter()
    base = {name: value.copy() for name, value in model.weights.items()}
    epsilon = 1e-6
    values = []
    for sign in [1.0, -1.0]:
        for name in base:
            direction = out[f"{model.name}.direction.{name}"].astype(np.float64)
            model.weights[name] = base[name] + sign * epsilon * direction
        values.append(terms(model, switches, still)["loss"])
    model.weights = base
    return (values[0] - values[1]) / (2.0 * epsilon)


# A picture that moves, in colours that five bits tell apart.
i = np.arange


def pictures(side):
    """Frames of a side, and what a model sees of them: noise of 0.5 is the centre of each bin."""
    grid = i(LENGTH)[:, None, None, None, None] * 24 + i(BATCH)[:, None, None, None] * 56 + i(3)[:, None, None] * 40
    drawn = ((grid + i(side)[:, None] * 2 + i(side) * 3) % 256).astype(np.uint8)
    return drawn, np.floor(drawn / 8.0) / 32.0 - 0.5 + 0.5 / 32.0


frames, images = pictures(64)
out["frames"] = frames
action = given("action", LENGTH, BATCH, ACTION)
reward = given("reward", LENGTH, BATCH)
noise = given("noise", LENGTH, BATCH, STOCHASTIC)
# Of the rollout that starts at t, d steps on.
open_noise = given("open_noise", LENGTH, LENGTH, BATCH, STOCHASTIC)

overshooting = {
    "overshooting_scale": 0.7,
    "overshooting_reward_scale": 0.9,
    "overshooting_image_scale": 0.3,
    "overshooting_stop_posterior_gradient": False,
}
CASES = {
    "plain": {"free_nats": 0.0},
    "heads": {"free_nats": 0.0, "image_scale": 0.01, "reward_scale": 100.0},
    "free": {"free_nats": 4.0, "reward_scale": 3.0, "image_scale": 0.01, "kl_scale": 2.0},
    "global": {"free_nats": 0.5, "global_kl_scale": 0.2},
    "over_1": {"free_nats": 0.0, "overshooting_distance": 1, **overshooting},
    "over_3": {"free_nats": 1.5, "overshooting_distance": 3, **overshooting},
    "balanced": {"free_nats": 0.0, "kl_balance": 0.8, "image_scale": 0.001, "kl_scale": 3.0},
    "stopped": {
        "free_nats": 0.0,
        "image_scale": 0.001,
        "overshooting_distance": 2,
        **overshooting,
        "overshooting_stop_posterior_gradient": True,
    },
    "over_5": {"free_nats": 0.0, "overshooting_distance": LENGTH - 1, "image_scale": 0.01, **overshooting},
    "beta_1": {
        "free_nats": 0.0,
        "image_scale": 0.001,
        "overshooting_distance": 3,
        "overshooting_beta_1": 0.25,
        **overshooting,
        "overshooting_scale": 4.0,
    },
}



def write(model, cases):
    for name, value in model.weights.items():
        given(f"{model.name}.direction.{name}", *value.shape)
    steps = model.filter()
    found(model.name + ".h", [h for h, _, _, _ in steps])
    found(model.name + ".s", [s for _, s, _, _ in steps])
    for which, index in [("posterior", 2), ("prior", 3)]:
        found(f"{model.name}.{which}.mean", [step[index][0] for step in steps])
        found(f"{model.name}.{which}.std", [step[index][1] for step in steps])
    for name, switches in cases.items():
        for term, value in terms(model, switches).items():
            found(f"{model.name}.{name}.{term}", value)
        found(f"{model.name}.{name}.slope", slope(model, switches))


for design in ["rssm", "ssm", "rnn"]:
    write(Model(design), CASES)

# Positions and velocities of the joints, beside the picture or instead of it.
joints = given("joints", LENGTH, BATCH, 2 * ACTION)
JOINT_CASES = {
    "plain": {"free_nats": 0.0, "joints_scale": 2.0, "image_scale": 0.01},
    "over_3": {
        "free_nats": 1.5,
        "overshooting_distance": 3,
        "joints_scale": 5.0,
        "image_scale": 0.01,
        **overshooting,
        "overshooting_joints_scale": 0.6,
    },
}
write(Model("rssm", "joints", pixels=False, joints=True), JOINT_CASES)
write(Model("rssm", "both", joints=True), JOINT_CASES)

# One agent with several tasks: a robot with one joint less than the largest. By definition its model is the one that lacks
# what was padded: the columns of the second joint's action and state, and what predicts that state.
small = Model("rssm", "padded", joints=True)
whole = {name: value.copy() for name, value in small.weights.items()}
action, joints = action[..., : ACTION - 1], joints[..., : 2 * (ACTION - 1)]
ACTION -= 1
small.weights["input.weight"] = whole["input.weight"][:, : STOCHASTIC + ACTION]
small.weights["posterior.0.weight"] = whole["posterior.0.weight"][:, : BELIEF + EMBEDDING + 2 * ACTION]
small.weights["joints.1.weight"] = whole["joints.1.weight"][: 2 * ACTION]
small.weights["joints.1.bias"] = whole["joints.1.bias"][: 2 * ACTION]
steps = small.filter()
found("padded.s", [s for _, s, _, _ in steps])
for name, switches in JOINT_CASES.items():
    for term, value in terms(small, switches).items():
        found(f"padded.{name}.{term}", value)

for bits in [3, 5, 8]:
    pixels, bins = np.arange(256), 2.0**bits
    found(f"image_bits_{bits}", np.floor(pixels / 2.0 ** (8 - bits)) / bins - 0.5 + 0.5 / bins)


def save(file):
    """Writes what there is, and begins anew. As numpy.savez_compressed, but the same bytes whenever it is run (on processors alike: sums
    differ in their last digits)."""
    with zipfile.ZipFile(pathlib.Path(__file__).with_name(file), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in sorted(out.items()):
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asanyarray(value), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy"), data.getvalue(), zipfile.ZIP_DEFLATED)
    print(f"{file}: {len(out)} arrays")
    out.clear()


save("reference.npz")

# Models of larger pictures. There is less of everything: what is to be seen is in encoder and decoder.
ACTION = 2
SIDE_CASES = {name: CASES[name] for name in ["plain", "over_1"]}
action = given("action", LENGTH, BATCH, ACTION)
reward = given("reward", LENGTH, BATCH)
noise = given("noise", LENGTH, BATCH, STOCHASTIC)
open_noise = given("open_noise", LENGTH, LENGTH, BATCH, STOCHASTIC)
for side in [96, 128]:
    frames, images = pictures(side)
    out[f"frames_{side}"] = frames
    model = Model("rssm", f"side_{side}", side=side)
    write(model, SIDE_CASES)
    found(f"{model.name}.embedding", model.encode(images[0]))
save("sides.npz")
