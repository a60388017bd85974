"""Plans as PlaNet does, on a bundle's own weights, by PyTorch and by onnxruntime: what `armillary bench plan` is set beside.

usage: python planner.py BUNDLE ITERATIONS CANDIDATES HORIZON ELITES THREADS

Reads names of variants from standard input, one a line; for each it plans once and answers with the seconds it took, or
with `error: ...`. The first plan of a variant is made before it is asked for, so that compilation is not timed.
"""

import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor


def initialisers(path):
    return {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in onnx.load(path).graph.initializer}


class Step(torch.nn.Module):
    """One latent step of all candidates: (h, s, action) to (h, s, reward). The GRU is torch's own fused cell."""

    def __init__(self, bundle):
        super().__init__()
        t, r = initialisers(bundle / "transition.onnx"), initialisers(bundle / "reward.onnx")
        self.hidden_w, self.hidden_b = t["input.weight"], t["input.bias"]
        self.gru = [t[f"gru.{name}"] for name in ("w_input", "w_state", "b_input", "b_state")]
        self.p0_w, self.p0_b = t["prior.0.weight"], t["prior.0.bias"]
        self.p1_w, self.p1_b = t["prior.1.weight"], t["prior.1.bias"]
        self.min_std = float(t["min_std"])
        layers = len([name for name in r if name.endswith(".bias")])
        self.reward_w = [r[f"reward.{i}.weight"] for i in range(layers)]
        self.reward_b = [r[f"reward.{i}.bias"] for i in range(layers)]

    def forward(self, h: Tensor, s: Tensor, a: Tensor):
        linear = torch.nn.functional.linear
        x = torch.relu(linear(torch.cat([s, a], 1), self.hidden_w, self.hidden_b))
        h = torch.gru_cell(x, h, self.gru[0], self.gru[1], self.gru[2], self.gru[3])
        raw = linear(torch.relu(linear(h, self.p0_w, self.p0_b)), self.p1_w, self.p1_b)
        mean, std = torch.chunk(raw, 2, 1)
        s = mean + (torch.nn.functional.softplus(std) + self.min_std) * torch.randn_like(mean)
        x = torch.cat([s, h], 1)
        for i in range(len(self.reward_w)):
            x = linear(x, self.reward_w[i], self.reward_b[i])
            if i + 1 < len(self.reward_w):
                x = torch.relu(x)
        return h, s, x[:, 0]

    def bfloat16(self):
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.bfloat16())
            elif isinstance(value, list):
                setattr(self, name, [tensor.bfloat16() for tensor in value])
        return self


class Iterate(torch.nn.Module):
    """One CEM iteration: sample, score, refit."""

    def __init__(self, step, candidates: int, horizon: int, elites: int):
        super().__init__()
        self.step, self.candidates, self.horizon, self.elites = step, candidates, horizon, elites

    def forward(self, mean: Tensor, std: Tensor, h: Tensor, s: Tensor):
        noise = torch.randn(self.horizon, self.candidates, mean.shape[2], dtype=mean.dtype)
        actions = (mean + std * noise).clamp(-1.0, 1.0)
        h, s = h.expand(self.candidates, -1), s.expand(self.candidates, -1)
        returns = torch.zeros(self.candidates, dtype=mean.dtype)
        for t in range(self.horizon):
            h, s, reward = self.step(h, s, actions[t])
            returns = returns + reward
        best = actions[:, returns.topk(self.elites).indices]
        return best.mean(1, keepdim=True), (best.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()


def torch_planner(bundle, budget, wrap, dtype=torch.float32):
    iterations, candidates, horizon, elites = budget
    step = Step(bundle)
    if dtype == torch.bfloat16:
        step.bfloat16()
    iterate = wrap(step, candidates, horizon, elites)
    action = step.hidden_w.shape[1] - step.p1_w.shape[0] // 2
    h = torch.zeros(1, step.gru[1].shape[1], dtype=dtype)
    s = torch.zeros(1, step.p1_w.shape[0] // 2, dtype=dtype)

    def plan():
        with torch.inference_mode():
            mean = torch.zeros(horizon, 1, action, dtype=dtype)
            std = torch.ones(horizon, 1, action, dtype=dtype)
            for _ in range(iterations):
                mean, std = iterate(mean, std, h, s)
            return mean[0, 0].float().numpy()

    return plan


def eager(step, *budget):
    return Iterate(step, *budget)


def scripted(step, *budget):
    return torch.jit.script(Iterate(torch.jit.script(step), *budget))


def compiled(step, *budget):
    # A step at a time: unrolled over the horizon it takes minutes to compile and is no faster.
    torch._inductor.config.freezing = True
    return Iterate(torch.compile(step), *budget)


def ort_planner(bundle, budget, threads):
    iterations, candidates, horizon, elites = budget
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    load = lambda name: onnxruntime.InferenceSession(bundle / name, options, providers=["CPUExecutionProvider"])
    transition, reward = load("transition.onnx"), load("reward.onnx")
    width = {i.name: i.shape[1] for i in transition.get_inputs()}
    random = np.random.default_rng(1)
    normal = lambda *shape: random.standard_normal(shape, dtype=np.float32)

    def plan():
        mean = np.zeros((horizon, 1, width["action"]), np.float32)
        std = np.ones_like(mean)
        for _ in range(iterations):
            actions = np.clip(mean + std * normal(horizon, candidates, width["action"]), -1, 1)
            h = np.zeros((candidates, width["h"]), np.float32)
            s = np.zeros((candidates, width["s"]), np.float32)
            returns = np.zeros(candidates, np.float32)
            for t in range(horizon):
                h, p, q = transition.run(None, {"h": h, "s": s, "action": actions[t]})
                s = p + q * normal(*p.shape)
                returns += reward.run(None, {"h": h, "s": s})[0].reshape(-1)
            best = actions[:, np.argpartition(returns, -elites)[-elites:]]
            mean, std = best.mean(1, keepdims=True), np.sqrt(best.var(1, keepdims=True) + 1e-6)
        return mean[0, 0]

    return plan


def main(bundle, *numbers):
    bundle = pathlib.Path(bundle)
    *budget, threads = map(int, numbers)
    torch.set_num_threads(threads)
    makers = {
        "pytorch-eager": lambda: torch_planner(bundle, budget, eager),
        "pytorch-torchscript": lambda: torch_planner(bundle, budget, scripted),
        "pytorch-compile": lambda: torch_planner(bundle, budget, compiled),
        "pytorch-eager-bf16": lambda: torch_planner(bundle, budget, eager, torch.bfloat16),
        "pytorch-compile-bf16": lambda: torch_planner(bundle, budget, compiled, torch.bfloat16),
        "onnxruntime": lambda: ort_planner(bundle, budget, threads),
    }
    planners = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in planners:
                planners[name] = makers[name]()
                for _ in range(3):
                    planners[name]()
            before = time.perf_counter()
            action = planners[name]()
            took = time.perf_counter() - before
            assert np.isfinite(action).all(), "no finite action"
            print(f"{took:.6f}", flush=True)
        except Exception as error:  # Whatever a peer fails by is its row in the table.
            print("error: " + str(error).strip().split("\n")[0], flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    main(*sys.argv[1:])
