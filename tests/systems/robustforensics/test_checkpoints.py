"""The checkpoints of RobustForensics: their kinds, and the smallest of them from file to model."""

from unmask.models import load_card, verify_folder
from unmask.models.checkpoints import CHECKPOINT_KINDS
from unmask.systems.robustforensics.members import MEMBERS


def test_every_member_can_be_imported():
    assert {member.model for member in MEMBERS} | {"retinaface-mnet025"} <= CHECKPOINT_KINDS.keys()
    assert all(CHECKPOINT_KINDS[member.model].mean == member.mean for member in MEMBERS)


def test_the_detector_from_file_to_model(retinaface_home):
    folder = retinaface_home / "models" / "retinaface-mnet025"
    card = load_card(folder)
    assert verify_folder(folder) == card
    assert card.training["checkpoint"]["from"] == "mobilenet0.25_Final.pth"
