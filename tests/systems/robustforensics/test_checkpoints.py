"""The checkpoints of RobustForensics: their kinds, and the smallest of them from file to model."""

import pytest

torch = pytest.importorskip("torch")

from unmask.models import load_card, verify_folder  # noqa: E402
from unmask.models.checkpoints import CHECKPOINT_KINDS, import_checkpoint  # noqa: E402
from unmask.models.networks.retinaface import RetinaFaceNetwork  # noqa: E402
from unmask.systems.robustforensics.members import MEMBERS  # noqa: E402


def test_every_member_can_be_imported():
    assert {member.model for member in MEMBERS} | {"retinaface-mnet025"} <= CHECKPOINT_KINDS.keys()
    assert all(CHECKPOINT_KINDS[member.model].mean == member.mean for member in MEMBERS)


def test_the_detector_from_file_to_model(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    tensors = {f"module.{name}": tensor for name, tensor in RetinaFaceNetwork().state_dict().items()}
    torch.save(tensors, tmp_path / "mobilenet0.25_Final.pth")
    card = import_checkpoint(tmp_path / "mobilenet0.25_Final.pth", "retinaface-mnet025")
    folder = tmp_path / "home" / "models" / "retinaface-mnet025"
    assert verify_folder(folder) == card == load_card(folder)
    assert card.training["checkpoint"]["from"] == "mobilenet0.25_Final.pth"
