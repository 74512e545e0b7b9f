"""Compare models on datasets, as the field's tables do, so that whoever has model and data repeats the number.

models + datasets -> `run` -> `Predictions` -> `measure` -> `Result` -> `write_outputs`. `unmask.bench.published` holds
what others published, `unmask.bench.deepsafe` exchanges predictions with deepsafe-bench.
"""

from unmask.bench.dataset import BenchClip, BenchDataset, named_path, open_dataset
from unmask.bench.measure import Result, measure
from unmask.bench.outputs import write_outputs
from unmask.bench.run import Entrant, Job, jobs_of, run
from unmask.bench.store import Predictions

__all__ = [
    "BenchClip",
    "BenchDataset",
    "Entrant",
    "Job",
    "Predictions",
    "Result",
    "jobs_of",
    "measure",
    "named_path",
    "open_dataset",
    "run",
    "write_outputs",
]
