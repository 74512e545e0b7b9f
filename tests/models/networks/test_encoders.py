# ruff: noqa: E402 - torch is not in every environment

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from unmask.errors import UsageError
from unmask.models.networks import ENCODERS, build_network, create_encoder

TINY = "test_efficientnet"


@pytest.mark.parametrize(("encoder", "drop_path"), [(name, rate) for name, (_, rate) in ENCODERS.items()])
def test_encoders_drop_paths_as_the_winner_did(encoder, drop_path):
    with torch.device("meta"):
        built = create_encoder(encoder)
    blocks = [block for stage in built.blocks for block in stage]
    rates = [block.drop_path.drop_prob for block in blocks if hasattr(block.drop_path, "drop_prob")]
    assert rates[-1] == pytest.approx(drop_path * (len(blocks) - 1) / len(blocks))


def test_tf_encoders_pad_as_tensorflow_does():
    encoder = create_encoder("tf_efficientnet_b0")
    epsilons = {module.eps for module in encoder.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert epsilons == {1e-3}
    with torch.no_grad():
        encoder.conv_stem.weight.zero_()
        encoder.conv_stem.weight[:, :, 0, 0] = 1  # SAME pads an even side after the last pixel only
        x_N3HW = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 3, 8, 8)
        assert torch.equal(encoder.conv_stem(x_N3HW)[0, 0], 3 * x_N3HW[0, 0, ::2, ::2])


def test_pretrained_weights_that_cannot_be_fetched_name_the_cure(monkeypatch):
    import timm

    create_model = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise ConnectionError("no route to host")
        return create_model(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UsageError, match=r"no route to host.*HF_HOME.*pretrained = false"):
        build_network("classifier", encoder=TINY, pretrained=True)
