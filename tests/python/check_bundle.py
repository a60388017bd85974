"""Checks a bundle's graphs from outside: onnx.checker, and onnxruntime against LibTorch's outputs.

usage: python check_bundle.py BUNDLE
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def vectors(parity, graph, side):
    """Tensors named `graph/side/INDEX.NAME`, in the order of INDEX."""
    prefix = f"{graph}/{side}/"
    found = [(name[len(prefix):], value) for name, value in parity.items() if name.startswith(prefix)]
    found.sort(key=lambda item: int(item[0].split(".", 1)[0]))
    return [(name.split(".", 1)[1], value) for name, value in found]


def main(bundle):
    bundle = pathlib.Path(bundle)
    parity = load_file(bundle / "parity.safetensors")
    worst = 0.0
    for path in sorted(bundle.glob("*.onnx")):
        onnx.checker.check_model(onnx.load(path), full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        inputs = dict(vectors(parity, path.stem, "in"))
        expected = vectors(parity, path.stem, "out")
        if not inputs or not expected:
            sys.exit(f"{path}: parity.safetensors holds no vectors for it")
        outputs = session.run([name for name, _ in expected], inputs)
        error = max(
            float(np.max(np.abs(found - value) / np.maximum(1.0, np.abs(value))))
            for found, (_, value) in zip(outputs, expected)
        )
        worst = max(worst, error)
        print(f"{path.name}: onnx.checker passed, onnxruntime differs from LibTorch by {error:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(f"{bundle}: error {worst:.1e} above {TOLERANCE:.0e}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
