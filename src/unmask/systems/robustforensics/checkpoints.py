"""RobustForensics, fourth of the Deepfake Detection Challenge: eleven models and the face detector they share.

The files lie on a drive that hands them out by hand only, so they are imported one by one; the detector's is in the
authors' repository. Source: https://github.com/Siyu-C/RobustForensics
"""

from __future__ import annotations

from unmask.faces.retinaface import MODEL
from unmask.models.checkpoints.kinds import DETECTOR, CheckpointKind, register_checkpoint_kind
from unmask.models.fusion import Fusion, register_fusion
from unmask.systems.robustforensics.members import MEMBERS, member_card, member_network, retinaface_card

for _member in MEMBERS:
    _network, _parameters = member_network(_member)
    register_checkpoint_kind(
        _member.model,
        CheckpointKind(
            _network,
            _parameters,
            member_card(_member),
            only=True,
            tensor_names="encoder_library",
            mean=_member.mean,
            std=_member.std,
        ),
    )

register_fusion("robust", Fusion("groups", "clearest", "majority", min_frames=5))
register_checkpoint_kind(MODEL, CheckpointKind(DETECTOR, {}, retinaface_card(), only=True))
