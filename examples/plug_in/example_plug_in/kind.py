"""A kind of checkpoint: `unmask models import my.pth --as plain` makes a model of the network's weights."""

from unmask import CropSpec
from unmask.models.card import Card
from unmask.models.checkpoints.kinds import CheckpointKind

PLAIN = CheckpointKind(
    network="plain",
    parameters={"width": 16},
    card=Card(
        name="",  # filled in
        version="1",
        purpose="Shows how a network of one's own is scanned with.",
        architecture="plain",
        licence="that of the weights",
        crop=CropSpec(size_px=128, margin=0.2),
        files={},
        limitations=("an example",),
    ),
)
