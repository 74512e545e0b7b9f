"""Published checkpoints as models: fetched, read by a process that may do nothing else, checked, written anew."""

from unmask.models.checkpoints.install import import_checkpoint, pull
from unmask.models.checkpoints.kinds import KINDS, RELEASES, Kind, Release, look_up, register_kind, register_release

__all__ = [
    "KINDS",
    "RELEASES",
    "Kind",
    "Release",
    "import_checkpoint",
    "look_up",
    "pull",
    "register_kind",
    "register_release",
]
