"""Published systems: each a folder with its rules, its models and its evidence.

Importing this package enters their models into `unmask.models.checkpoints.CHECKPOINT_KINDS`.
"""

import unmask.systems.robustforensics.checkpoints
import unmask.systems.winner.checkpoints  # noqa: F401
