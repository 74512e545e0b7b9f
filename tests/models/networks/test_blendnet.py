# ruff: noqa: E402 - torch is not in every environment

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from unmask.errors import UsageError
from unmask.models.networks import build_network

TINY = "test_efficientnet"


@pytest.mark.parametrize("size_px", [64, 160])
@pytest.mark.parametrize(
    "parameters", [{}, {"residuals": False}, {"stem_stride": 1}, {"width": 16, "drop_path": 0.1}], ids=str
)
def test_shapes(parameters, size_px):
    network = build_network("blendnet", **{"encoder": TINY} | parameters).eval()
    with torch.inference_mode():
        output = network(torch.rand(2, 3, size_px, size_px))
    assert output.logit_N.shape == (2,)
    assert output.mask_N2hw.shape == (2, 2, size_px // 8, size_px // 8)


def test_a_side_that_eight_does_not_divide_works_too():
    with torch.inference_mode():
        output = build_network("blendnet", encoder=TINY).eval()(torch.rand(1, 3, 100, 100))
    assert output.mask_N2hw.shape == (1, 2, 13, 13)


def test_the_default_is_small_enough_to_ship():
    network = build_network("blendnet")
    assert sum(tensor.numel() for tensor in network.state_dict().values()) * 4 < 20e6


@pytest.mark.parametrize("residuals", [True, False])
def test_gradients_reach_everything_that_trains(residuals):
    network = build_network("blendnet", encoder=TINY, residuals=residuals)
    output = network(torch.rand(4, 3, 64, 64))
    (output.logit_N.square().sum() + output.mask_N2hw.square().sum()).backward()
    trained = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    assert [name for name, grad in trained.items() if grad is None or not grad.abs().sum() > 0] == []
    assert all(torch.isfinite(grad).all() for grad in trained.values())


def test_it_learns_where_a_blend_is():
    torch.manual_seed(0)
    network = build_network("blendnet", encoder=TINY, dropout=0)
    crops_N3HW, mask_Nhw = torch.rand(8, 3, 64, 64), torch.zeros(8, 8, 8)
    crops_N3HW[:4, :, 16:48, 16:48] = 0.5  # smooth where the rest is noise
    mask_Nhw[:4, 2:6, 2:6] = 1
    label_N = mask_Nhw.amax((1, 2))
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    losses = []
    for _ in range(25):
        output = network(crops_N3HW)
        loss = bce(output.logit_N, label_N) + bce(output.mask_N2hw[:, 0], mask_Nhw)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stem_stride": 3}, "stem_stride 3 does not fit a first convolution of 3 px with stride 2"),
        ({"encoder": "test_convnext", "stem_stride": 1}, "stem_stride 1 does not fit"),
        ({"encoder": "test_vit"}, "one at 8 is needed"),
        ({"steam_stride": 1}, "no parameter 'steam_stride'"),
    ],
)
def test_what_does_not_fit_is_refused(parameters, message):
    with pytest.raises(UsageError, match=message):
        build_network("blendnet", **{"encoder": TINY} | parameters)
