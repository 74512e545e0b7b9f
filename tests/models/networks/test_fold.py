# ruff: noqa: E402 - torch is not in every environment

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from tests.models.networks.test_export import SIZE_PX, TINY, used
from unmask.models.networks import build_network
from unmask.models.networks.fold import fold_batchnorm


def test_folding_changes_no_score_and_leaves_no_normalisation():
    network = used(build_network("classifier", encoder=TINY)).eval()
    folded = copy.deepcopy(network)
    x_N3SS = torch.randn(2, 3, SIZE_PX, SIZE_PX)
    with torch.inference_mode():
        count = fold_batchnorm(folded, x_N3SS)
        assert count == sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()) > 5
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
        torch.testing.assert_close(folded(x_N3SS).logit_N, network(x_N3SS).logit_N, atol=1e-4, rtol=1e-4)


def test_a_shared_convolution_is_not_folded():
    conv = torch.nn.Conv2d(3, 3, 1)
    network = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(3), conv).eval()
    assert fold_batchnorm(network, torch.zeros(1, 3, 4, 4)) == 0
