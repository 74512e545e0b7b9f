"""Keep what each model said of each clip: nothing is scanned twice, and other measures need no second scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from unmask.evaluation import Prediction
from unmask.evaluation.predictions import prediction_of
from unmask.storage.rowlog import Row, RowLog

AS_IT_IS = "as it is"
"""Name of the cell of clips that nothing was done to."""
_KEPT = ("path", "sha256", "status", "label", "fake_probability", "reasons", "frames", "models")
_NEVER_KEPT = ("internal_error", "crashed")
"""Statuses that are no property of the clip; such rows are scanned again."""


class Predictions:
    """Rows of a file, one for each model, clip and cell.

    A row is found again by the hash of the scan's settings, which holds models and version, by the clip's content, and
    by the cell, whatever model and clip were called then.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            UsageError: Another run holds it, or it cannot be written.
        """
        self._log = RowLog(path, lambda row: None if row["status"] in _NEVER_KEPT else str(row["key"]))

    @staticmethod
    def key(settings_hash: str, content: str, cell: str) -> str:
        """Return the key of a row.

        Args:
            settings_hash: `unmask.scan.BaseScanner.settings_hash`.
            content: Hash of the clip's bytes, or its path where it has none.
            cell: What was done to the clip.
        """
        return f"{settings_hash} {content} {cell}"

    def __contains__(self, key: str) -> bool:
        return key in self._log

    def add(self, key: str, model: str, dataset: str, clip: str, cell: str, verdict: Mapping[str, Any]) -> None:
        """Add what a model said; any thread may call this.

        Args:
            key: See `key`.
            model: Name of the model in this run.
            dataset: Name of the dataset in this run.
            clip: Name of the clip in the dataset.
            cell: What was done to it.
            verdict: `unmask.Verdict.to_dict` with timing.
        """
        said = {name: verdict[name] for name in _KEPT}
        calibration = verdict["settings"].get("calibration", [])
        about = {"key": key, "model": model, "dataset": dataset, "clip": clip, "cell": cell}
        timing = {"elapsed_seconds": verdict["elapsed_seconds"]}
        self._log.append(key, about | said | timing | {"settings": {"calibration": calibration}})

    def row(self, key: str) -> Row:
        """Return a kept row.

        Raises:
            KeyError: There is none.
        """
        row = self._log.get(key)
        if row is None:
            raise KeyError(key)
        return row

    def prediction(self, key: str, name: str) -> Prediction:
        """Return a kept row as a prediction about the clip ``name``."""
        return prediction_of(self.row(key), name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
