"""The field's checkpoints, entered so that ``unmask models import`` takes them."""

from __future__ import annotations

from unmask.models.checkpoints.kinds import register_checkpoint_kind
from unmask.systems.field.facts import KINDS

for _name, _kind in KINDS.items():
    register_checkpoint_kind(_name, _kind)
