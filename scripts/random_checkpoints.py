"""Checkpoints with RobustForensics' published names and shapes, and random weights: to try the path without the files.

    python scripts/random_checkpoints.py checkpoints | sh      # writes them, and imports all twelve
    unmask scan videos/ --preset robustforensics --csv scores.csv

The detector's class head leans to "face" for its largest anchors, lest a random one see none. The numbers mean nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from unmask.faces.retinaface import MODEL
from unmask.models.networks import TwoClass, build_network
from unmask.models.networks.library_names import rename_library_tensors
from unmask.models.networks.retinaface import RetinaFaceNetwork
from unmask.systems.robustforensics.members import MEMBERS, member_network

DETECTOR = "mobilenet0.25_Final.pth"
ENDS = ("_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc")
LAYERS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2")
SUFFIXES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.save(detector(), arguments.folder / DETECTOR)
    print(f"unmask models import {arguments.folder / DETECTOR} --as {MODEL}")
    for member in MEMBERS:
        name, parameters = member_network(member)
        network = build_network(name, **parameters)
        state = {f"module.{name}": tensor for name, tensor in published_state(network).items()}
        file = arguments.folder / f"{member.checkpoint}.pth.tar"
        torch.save({"step": 1, "arch": member.name, "state_dict": state, "best_loss": 0.5}, file)
        print(f"unmask models import {file} --as {member.model}", flush=True)


def detector() -> dict[str, torch.Tensor]:
    """Return the tensors of a face detector."""
    network = RetinaFaceNetwork()
    bias = network.state_dict()["ClassHead.2.conv1x1.bias"]
    bias.copy_(torch.tensor([-3.0, 3.0]).repeat(len(bias) // 2))  # background and face of each anchor
    return {f"module.{name}": tensor for name, tensor in network.state_dict().items()}


def published_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of a network under their published names."""
    state = network.state_dict()
    if not isinstance(network, TwoClass):
        return state
    if not hasattr(network.encoder, "blocks"):
        return {name.removeprefix("encoder."): tensor for name, tensor in state.items()}
    blocks = sum(len(list(stage.children())) for stage in network.get_submodule("encoder.blocks").children())
    layers = [*ENDS, *(f"_blocks.{number}.{layer}" for number in range(blocks) for layer in LAYERS)]
    theirs = rename_library_tensors((f"{layer}.{suffix}" for layer in layers for suffix in SUFFIXES), network)
    names = {ours: published for published, ours in theirs.items()}
    return {names[name]: tensor for name, tensor in state.items()}


if __name__ == "__main__":
    main()
