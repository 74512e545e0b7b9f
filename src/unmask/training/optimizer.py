"""What changes the weights: SGD or AdamW, either around the sharpest point nearby; and their moving average."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from unmask.training.recipe import OptimizerRecipe


def build_optimizer(parameters: Iterable[nn.Parameter], recipe: OptimizerRecipe) -> Optimizer:
    """Return the optimizer that a recipe names; of ``sam`` and ``sam_adamw``, the one within it."""
    if recipe.name in {"adamw", "sam_adamw"}:
        return AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return SGD(
        parameters,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )


def sharpen(parameters: Iterable[nn.Parameter], radius: float, gradients_there: Callable[[], object]) -> None:
    """Replace the gradients by those at the sharpest point within ``radius`` (SAM, Foret et al. 2021).

    Args:
        parameters: With their gradients at the current point.
        radius: Length of the step uphill.
        gradients_there: Computes the gradients anew, after they were cleared.
    """
    moved = [p for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(_grad(p)) for p in moved]))
    steps = [_grad(p) * (radius / (norm + 1e-12)) for p in moved]
    with torch.no_grad():
        for parameter, step in zip(moved, steps, strict=True):
            parameter.add_(step)
            parameter.grad = None
    gradients_there()
    with torch.no_grad():
        for parameter, step in zip(moved, steps, strict=True):
            parameter.sub_(step)


def _grad(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


class Average:
    """An exponential moving average of a network's weights."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the weights as they are."""
        self._decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, steps: int) -> None:
        """Move towards the network; in the first steps faster, so that random weights are soon forgotten."""
        decay = min(self._decay, (1 + steps) / (10 + steps))
        current = network.state_dict()
        moving = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.tensors[name] for name in moving], [current[name] for name in moving], 1 - decay)
        for name in current.keys() - set(moving):
            self.tensors[name].copy_(current[name])
