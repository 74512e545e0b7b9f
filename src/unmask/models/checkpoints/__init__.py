"""Published checkpoints as models: fetched, read by a process that may do nothing else, checked, written anew."""

from unmask.models.checkpoints.install import import_checkpoint, pull
from unmask.models.checkpoints.kinds import (
    CHECKPOINT_KINDS,
    RELEASES,
    CheckpointKind,
    PublishedLayout,
    Release,
    look_up,
    register_checkpoint_kind,
    register_release,
)

__all__ = [
    "CHECKPOINT_KINDS",
    "RELEASES",
    "CheckpointKind",
    "PublishedLayout",
    "Release",
    "import_checkpoint",
    "look_up",
    "pull",
    "register_checkpoint_kind",
    "register_release",
]
