"""PlaNet's update in plain PyTorch: what `armillary-train bench` is set beside.

usage: python trainer.py PROFILE.json THREADS

PROFILE.json has the sizes and switches of the preset. Reads names of variants from standard input, one a line; for each it
makes some updates and answers with the median seconds of one. Written as one would in Python: modules, autograd, torch.optim.
"""

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


# What this implementation knows of switches that change the work of an update; another value is refused, not ignored.
KNOWN = {
    "design": "rssm",
    "observation": "pixels",
    "image_bits": 5,
    "image_scale": 1.0,
    "kl_scale": 1.0,
    "kl_balance": None,
    "global_kl_scale": 0.0,
    "overshooting_stop_posterior_gradient": True,
    "overshooting_image_scale": 0.0,
}


def refuse_unknown(p):
    for name, known in KNOWN.items():
        if p[name] != known:
            sys.exit(f"trainer.py: knows {name} {json.dumps(known)} alone, and the preset has {json.dumps(p[name])}")
    if not {"image", "reward"} <= set(p["gradient_heads"]):
        sys.exit("trainer.py: knows losses of images and rewards that teach the latent state; name both in gradient_heads")
    if p["overshooting_distance"] > 0 and p["overshooting_starts"] == 0:
        sys.exit("trainer.py: knows overshooting from drawn starts alone; set overshooting_starts above 0")


class Model(nn.Module):
    def __init__(self, p, action):
        super().__init__()
        d, belief, stoch, hidden = p["depth"], p["belief"], p["stochastic"], p["hidden"]
        widths = [3, d, 2 * d, 4 * d, 8 * d]
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 4, 2) for a, b in zip(widths, widths[1:]))
        self.input = nn.Linear(stoch + action, hidden)
        self.gru = nn.GRUCell(hidden, belief)
        self.prior0, self.prior1 = nn.Linear(belief, hidden), nn.Linear(hidden, 2 * stoch)
        self.post0, self.post1 = nn.Linear(belief + 32 * d, hidden), nn.Linear(hidden, 2 * stoch)
        units = [belief + stoch] + [p["reward_units"]] * p["reward_layers"] + [1]
        self.reward = nn.ModuleList(nn.Linear(a, b) for a, b in zip(units, units[1:]))
        self.dense = nn.Linear(belief + stoch, 32 * d)
        shapes = [(32 * d, 4 * d, 5), (4 * d, 2 * d, 5), (2 * d, d, 6), (d, 3, 6)]
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(a, b, k, 2) for a, b, k in shapes)
        self.stoch, self.belief, self.min_std = stoch, belief, p["min_std"]

    def encode(self, x):
        for layer in self.encoder:
            x = torch.relu(layer(x))
        return x.flatten(1)

    def decode(self, x):
        x = self.dense(x)[:, :, None, None]
        for layer in self.decoder[:-1]:
            x = torch.relu(layer(x))
        return self.decoder[-1](x)

    def rewards(self, x):
        for layer in self.reward[:-1]:
            x = torch.relu(layer(x))
        return self.reward[-1](x).squeeze(-1)

    def gaussian(self, raw):
        mean, std = raw.chunk(2, -1)
        return mean, F.softplus(std) + self.min_std

    def recur(self, s, h, a):
        return self.gru(torch.relu(self.input(torch.cat([s, a], -1))), h)

    def prior(self, h):
        return self.gaussian(self.prior1(torch.relu(self.prior0(h))))

    def filter(self, embedding, action):
        length, batch = action.shape[:2]
        h, s = embedding.new_zeros(batch, self.belief), embedding.new_zeros(batch, self.stoch)
        hs, ss, means, stds = [], [], [], []
        for t in range(length):
            h = self.recur(s, h, action[t])
            mean, std = self.gaussian(self.post1(torch.relu(self.post0(torch.cat([h, embedding[t]], -1)))))
            s = mean + std * torch.randn_like(std)
            hs.append(h), ss.append(s), means.append(mean), stds.append(std)
        return [torch.stack(x) for x in (hs, ss, means, stds)]


def kl(qm, qs, pm, ps):
    ratio = (qs / ps).square()
    return 0.5 * (ratio + ((qm - pm) / ps).square() - 1 - ratio.log()).sum(-1)


def loss(model, p, frames, action, reward, convolutions):
    length, batch = reward.shape
    x = (frames.flatten(0, 1) >> 3).float() / 32 - 0.5
    x = x + torch.rand_like(x) / 32
    with convolutions():
        embedding = model.encode(x)
    embedding = embedding.float().reshape(length, batch, -1)
    h, s, qm, qs = model.filter(embedding, action)
    pm, ps = model.prior(h)
    features = torch.cat([s, h], -1)
    flat = features.flatten(0, 1)
    target = x
    if 0 < p["decoded_frames"] < len(flat):
        chosen = torch.randperm(len(flat))[: p["decoded_frames"]]
        flat, target = flat[chosen], x[chosen]
    with convolutions():
        image = model.decode(flat)
    total = 0.5 * (image.float() - target).square().sum((1, 2, 3)).mean()
    total = total + 0.5 * p["reward_scale"] * (model.rewards(features) - reward).square().mean()
    total = total + kl(qm, qs, pm, ps).clamp_min(p["free_nats"]).mean()
    distance = p["overshooting_distance"]
    if distance > 0:
        starts = torch.randint(length - distance, (p["overshooting_starts"],))
        pick = lambda x, d: x[starts + d].flatten(0, 1)
        oh, os = pick(h, 0), pick(s, 0)
        kls, rewards = [], []
        for d in range(1, distance + 1):
            oh = model.recur(os, oh, pick(action, d))
            m, v = model.prior(oh)
            kls.append(kl(pick(qm, d).detach(), pick(qs, d).detach(), m, v).clamp_min(p["free_nats"]).mean())
            os = m + v * torch.randn_like(v)
            predicted = model.rewards(torch.cat([os, oh], -1))
            rewards.append((predicted - pick(reward[..., None], d)[:, 0]).square().mean())
        total = total + p["overshooting_scale"] * torch.stack(kls).mean()
        total = total + 0.5 * p["reward_scale"] * p["overshooting_reward_scale"] * torch.stack(rewards).mean()
    return total


def main():
    p = json.load(open(sys.argv[1]))
    refuse_unknown(p)
    torch.set_num_threads(int(sys.argv[2]))
    torch.manual_seed(0)
    model = Model(p, p["action"])
    adam = torch.optim.Adam(model.parameters(), lr=p["learning_rate"], eps=p["epsilon"], fused=True)
    length, batch = p["length"], p["batch"]
    frames = torch.randint(256, (length, batch, 3, 64, 64), dtype=torch.uint8)
    action, reward = torch.rand(length, batch, p["action"]) * 2 - 1, torch.rand(length, batch)
    plain = lambda: torch.autocast("cpu", enabled=False)
    variants = {"f32": plain, "bf16": lambda: torch.autocast("cpu", torch.bfloat16)}

    def update(convolutions):
        adam.zero_grad(set_to_none=True)
        total = loss(model, p, frames, action, reward, convolutions)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), p["gradient_clip"])
        adam.step()
        return total.item()

    for line in sys.stdin:
        convolutions = variants[line.strip()]
        times = []
        for count in range(2 * p["updates"]):
            begun = time.perf_counter()
            update(convolutions)
            if count >= p["updates"]:
                times.append(time.perf_counter() - begun)
        print(statistics.median(times), flush=True)


if __name__ == "__main__":
    main()
