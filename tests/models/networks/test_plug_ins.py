"""A network of a package beside unmask is built by name."""

import torch

from unmask.models.networks import build_network


def test_a_network_of_a_plug_in_is_built_by_its_name(plug_in):
    network = build_network("plain", width=4)
    assert network(torch.zeros(2, 3, 32, 32)).logit_N.shape == (2,)
