"""MTCNN's three networks as torch modules, with facenet-pytorch's tensor names (Zhang et al. 2016, arXiv 1604.02878).

They take crops (N, 3, S, S), (colour - 127.5) / 128, and give logits of no face and face (N, 2), the shift of the
crop's edges in its sides (N, 4), and, of O-Net, five landmarks x then y in its sides (N, 10). `unmask.faces.mtcnn` runs
the published ones without torch.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

Answer = tuple[Tensor, Tensor, Tensor | None]
"""Logits (N, 2), shift (N, 4), landmarks (N, 10) or none."""


class PNet(nn.Module):
    """Proposes: crops of 12 pixels, or, since it is a convolution throughout, whole images."""

    side_px = 12

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x_N3SS: Tensor) -> Answer:
        """Answer for each crop."""
        x = nn.functional.max_pool2d(self.prelu1(self.conv1(x_N3SS)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).flatten(1), self.conv4_2(x).flatten(1), None


class _Dense(nn.Module):
    """What R-Net and O-Net share: convolutions, a dense layer, and heads."""

    def __init__(self, convolutions: list[tuple[int, int, int]], dense: tuple[str, int, int], heads: list[int]) -> None:
        super().__init__()
        for number, (channels, outer, side) in enumerate(convolutions, 1):
            self.add_module(f"conv{number}", nn.Conv2d(channels, outer, side))
            self.add_module(f"prelu{number}", nn.PReLU(outer))
        name, width, outer = dense
        number = int(name[-1])
        self.add_module(name, nn.Linear(width, outer))
        self.add_module(f"prelu{number}", nn.PReLU(outer))
        for head, values in enumerate(heads, 1):
            self.add_module(f"dense{number + 1}_{head}", nn.Linear(outer, values))

    def _answer(self, x_N3SS: Tensor, pools: list[int], dense: int) -> Answer:
        x, layers = x_N3SS, OrderedDict(self.named_children())
        for number, pool in enumerate(pools, 1):
            x = layers[f"prelu{number}"](layers[f"conv{number}"](x))
            x = nn.functional.max_pool2d(x, pool, 2, ceil_mode=True) if pool else x
        x = x.permute(0, 3, 2, 1).flatten(1)  # column-major, as in the original Matlab code
        x = layers[f"prelu{dense}"](layers[f"dense{dense}"](x))
        heads = [layer(x) for name, layer in layers.items() if name.startswith(f"dense{dense + 1}_")]
        return heads[0], heads[1], heads[2] if len(heads) > 2 else None


class RNet(_Dense):
    """Refines: crops of 24 pixels."""

    side_px = 24

    def __init__(self) -> None:
        super().__init__([(3, 28, 3), (28, 48, 3), (48, 64, 2)], ("dense4", 576, 128), [2, 4])

    def forward(self, x_N3SS: Tensor) -> Answer:
        """Answer for each crop."""
        return self._answer(x_N3SS, [3, 3, 0], 4)


class ONet(_Dense):
    """Refines once more and gives landmarks: crops of 48 pixels."""

    side_px = 48

    def __init__(self) -> None:
        super().__init__([(3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)], ("dense5", 1152, 256), [2, 4, 10])

    def forward(self, x_N3SS: Tensor) -> Answer:
        """Answer for each crop."""
        return self._answer(x_N3SS, [3, 3, 2, 0], 5)


CASCADE: dict[str, type[PNet] | type[RNet] | type[ONet]] = {"pnet": PNet, "rnet": RNet, "onet": ONet}
"""Name -> class, in the order in which they look."""
