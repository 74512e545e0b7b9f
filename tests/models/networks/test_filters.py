# ruff: noqa: E402 - torch is not in every environment

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from unmask.models.networks.filters import ResidualFilters, srm_conv

TINY = "test_efficientnet"


def test_residuals_are_of_each_colour_alone_and_do_not_train():
    filters = ResidualFilters().eval()
    assert not filters.conv.weight.requires_grad
    x_N3HW = torch.full((1, 3, 16, 16), 0.7)
    assert filters(x_N3HW).abs().max() < 1e-5  # flat, up to the borders
    x_N3HW[0, 1, 8, 8] += 0.1
    residual_12 = filters(x_N3HW).abs().amax((0, 2, 3))
    assert (residual_12 > 0.01).tolist() == [False] * 4 + [True] * 4 + [False] * 4
    assert filters(100 * x_N3HW).abs().max() == 3


def test_residuals_keep_their_digits_in_mixed_precision():
    filters, x_N3HW = ResidualFilters().eval(), 2 + 0.01 * torch.rand(1, 3, 16, 16)
    exact = filters(x_N3HW)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(filters(x_N3HW), exact)


def test_srm_kernels_have_the_published_values_and_do_not_train():
    conv = srm_conv()
    kernels_355 = conv.weight[:, 0]
    assert torch.equal(conv.weight, kernels_355[:, None].expand(3, 3, 5, 5))
    assert not conv.weight.requires_grad
    assert kernels_355[0, 2].tolist() == [0, 0.5, -1, 0.5, 0]
    assert kernels_355[0].abs().sum() == 2
    assert (kernels_355[1, 1:4, 1:4] * 4).tolist() == [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]
    assert kernels_355[1].abs().sum() == 4
    assert (kernels_355[2] * 12).round().tolist() == [
        [-1, 2, -2, 2, -1],
        [2, -6, 8, -6, 2],
        [-2, 8, -12, 8, -2],
        [2, -6, 8, -6, 2],
        [-1, 2, -2, 2, -1],
    ]
    assert conv(torch.ones(1, 3, 9, 9))[:, :, 2:-2, 2:-2].abs().max() < 1e-6  # a flat picture leaves nothing
