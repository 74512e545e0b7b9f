"""Published systems: each a folder with its facts, its rules and its evidence (README.md).

Importing this package enters their checkpoints into `unmask.models.checkpoints.CHECKPOINT_KINDS` and their fusion
rules into `unmask.models.FUSIONS`. `unmask.systems.presets` opens them as scanners.
"""

import unmask.systems.field.checkpoints
import unmask.systems.fusions
import unmask.systems.robustforensics.checkpoints
import unmask.systems.winner.checkpoints  # noqa: F401
