import pytest

from unmask.errors import UsageError
from unmask.models import Network, load_network, model_folder


def test_the_cpu_runs_what_has_no_weights_for_torch():
    assert isinstance(load_network(model_folder("bundled"), "fp32", "auto"), Network)


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "auto:0", ""])
def test_unknown_device(device):
    with pytest.raises(UsageError, match="use auto, cpu, cuda or cuda:N"):
        load_network(model_folder("bundled"), "fp32", device)
