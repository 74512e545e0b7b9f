"""Published checkpoints as models: fetched, read by a process that may do nothing else, checked, written anew."""

from unmask.models.published import robust, winner  # noqa: F401 - enter their kinds
from unmask.models.published.install import import_checkpoint, pull
from unmask.models.published.kinds import KINDS, RELEASES, Kind, Release, look_up, register_kind, register_release

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
