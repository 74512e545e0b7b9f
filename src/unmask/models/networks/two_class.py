"""An image network with two classes: a timm encoder, dropout, real and fake.

They learn two logits, real and fake. Our one logit is their difference, whose sigmoid is exactly the softmax of the
two, and whose binary cross entropy is exactly their cross entropy; the weights stay those of two classes.

Source: Siyu-C/RobustForensics.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn
from torch.nn.functional import pad

from unmask.models.networks.encoders import create_encoder
from unmask.models.networks.output import Output

_CLASSES = 2  # real, fake


class TwoClass(nn.Module):
    """Average pooling over the encoder's last map, and two classes."""

    encoder: Any  # has attributes of timm's that nn.Module does not declare

    def __init__(
        self,
        encoder: str = "resnet34",
        *,
        pretrained: bool = False,
        drop_path: float | None = None,
        dropout: float = 0.0,
        bgr: bool = False,
        even_padding: bool = False,
    ) -> None:
        """Build it.

        Args:
            encoder: Name for `create_encoder`.
            pretrained: Start the encoder from ImageNet weights.
            drop_path: Share of the encoder's residual branches dropped in training.
            dropout: Share of pooled features dropped in training.
            bgr: Show the encoder the colours in the order blue, green, red. The network takes RGB all the same.
            even_padding: Pad a ``tf_`` encoder as images of even sides would be, whatever the size. So does
                lukemelas' EfficientNet, which the published weights were trained with; it differs at 299 pixels.

        Raises:
            UsageError: The encoder cannot be had.
        """
        super().__init__()
        self.bgr = bgr
        self.encoder = create_encoder(encoder, pretrained=pretrained, drop_path=drop_path, num_classes=0)
        if even_padding:
            _pad_evenly(self.encoder)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.encoder.num_features, _CLASSES)

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops."""
        seen_N3HW = x_N3HW.flip(1) if self.bgr else x_N3HW
        real_N, fake_N = self.fc(self.dropout(self.encoder(seen_N3HW))).unbind(1)
        return Output(fake_N - real_N)


class _EvenConv(nn.Conv2d):
    """A strided convolution that pads as TensorFlow's "same" does where the stride divides the image's sides.

    Where it does not, "same" would pad one pixel more in all.
    """

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        # Read off at once: (k - s) in all, the smaller half before.
        rows, columns = (max(side - step, 0) for side, step in zip(self.kernel_size, self.stride, strict=True))
        edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return super().forward(pad(x_NCHW, edges))


def _pad_evenly(encoder: nn.Module) -> None:
    """Replace the convolutions that compute their padding from the size of the image."""
    for path, old in [(path, module) for path, module in encoder.named_modules() if isinstance(module, Conv2dSame)]:
        sides = {"kernel_size": old.kernel_size, "stride": old.stride, "groups": old.groups}
        new = _EvenConv(old.in_channels, old.out_channels, bias=old.bias is not None, **sides)  # type: ignore[arg-type]
        new.load_state_dict(old.state_dict())
        parent, _, name = path.rpartition(".")
        setattr(encoder.get_submodule(parent), name, new)
