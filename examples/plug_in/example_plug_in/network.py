"""A network that recipes can train: [network] name = "plain"."""

import torch
from torch import nn

from unmask.models.networks import Output


class Plain(nn.Module):
    """Three convolutions and a mean."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = [(3, width), (width, 2 * width), (2 * width, 4 * width)]
        layers = [layer for a, b in sizes for layer in (nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU())]
        self.layers, self.fc = nn.Sequential(*layers), nn.Linear(4 * width, 1)

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops."""
        return Output(self.fc(self.layers(x_N3HW).mean((2, 3)))[:, 0])
