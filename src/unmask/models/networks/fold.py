"""Batch normalisation folded into the convolution before it: on a GPU that saves two trips to its memory."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils.hooks import RemovableHandle


def fold_batchnorm(network: nn.Module, example: Tensor) -> int:
    """Fold, in place, every batch normalisation that directly follows a convolution.

    Which follows which is seen when ``example`` passes, so it works whatever the network calls its parts. The
    activation that timm puts into the same module as a normalisation stays.

    Args:
        network: In evaluation mode, on any device.
        example: What it takes.

    Returns:
        How many were folded.
    """
    pairs = _find_pairs(network, example)
    names = {module: name for name, module in network.named_modules()}
    for norm, conv in pairs.items():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        parent, _, own = names[norm].rpartition(".")
        setattr(network.get_submodule(parent), own, getattr(norm, "act", nn.Identity()))
    return len(pairs)


def _find_pairs(network: nn.Module, example: Tensor) -> dict[nn.BatchNorm2d, nn.Conv2d]:
    """Return the normalisations whose input is what the convolution just before them gave."""
    latest: list[tuple[nn.Conv2d, Tensor]] = []
    pairs: dict[nn.BatchNorm2d, nn.Conv2d] = {}
    seen: list[nn.Conv2d] = []

    def left(conv: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        seen.append(conv)
        latest[:] = [(conv, output)]

    def entered(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        if latest and latest[0][1] is inputs[0] and norm.track_running_stats:
            pairs[norm] = latest[0][0]

    hooks: list[RemovableHandle] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(left))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(entered))
    network(example)
    for hook in hooks:
        hook.remove()
    return {norm: conv for norm, conv in pairs.items() if seen.count(conv) == 1}  # a shared convolution stays as it is
