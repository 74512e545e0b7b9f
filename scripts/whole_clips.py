"""Count what models call whole clips, as they are and as they go about: blurred, small, strongly compressed.

    python scripts/whole_clips.py MODEL ... --data DATA --work FOLDER [--degrade "gblur 3" "messenger 33" "x264 40"]

DATA is laid out as for ``scripts/calibration_sources.py``, which says which people of ``videos/`` no training saw. Each
clip is scanned with the default settings, as it is and in copies of at most 300 frames that ``scripts/calibrate.py``
degrades (``messenger 33``: 320 pixels wide, x264 at crf 33). For each model, degradation and set a line says how many
authentic clips and fakes there are, and how many of each are called fake, and decided.

``--work`` keeps copies, verdicts and the faces that were found in each frame: a call that was interrupted goes on, and
another model, or another calibration, costs decoding and its network's time.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from calibrate import LabelledClip, degraded
from calibration_sources import devset, devset2, videos

from unmask import Scanner
from unmask.faces import Detector, load_detector
from unmask.storage.rowlog import RowLog
from unmask.types import DetectorSpec, Face, ImageHW3

AS_IT_IS = "as it is"
DEGRADATIONS = ("gblur 3", "messenger 33", "x264 40")
SETS = {"devset": devset, "devset2": devset2, "videos": videos}


@dataclass(frozen=True)
class Case:
    """One clip to scan."""

    clip: LabelledClip
    """Where it lies, and what is true of it."""
    set_name: str
    """Name in `SETS`."""


class KeptDetector:
    """Finds faces, and keeps them by the content of the frame."""

    def __init__(self, detector: Detector, found: RowLog) -> None:
        self._detector, self._found = detector, found

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of a frame."""
        key = hashlib.sha256(np.ascontiguousarray(image_HW3)).hexdigest()[:32]
        if (row := self._found.get(key)) is None:
            row = {"frame": key, "faces": [_values(face) for face in self._detector.detect(image_HW3)]}
            self._found.append(key, row)
        return [_face(*values) for values in row["faces"]]


class KeepingScanner(Scanner):
    """Keeps the faces that it finds."""

    def __init__(self, model: str, work: Path) -> None:
        self.work = work
        super().__init__(model)

    def make_detector(self, spec: DetectorSpec) -> Detector:
        """Return the card's detector with a memory."""
        name = hashlib.sha256(repr(spec).encode()).hexdigest()[:8]
        self.found = RowLog(self.work / f"faces-{name}.jsonl", lambda row: row["frame"])
        return KeptDetector(load_detector(spec), self.found)


def cases(data: Path, degradation: str, work: Path) -> Iterator[Case]:
    """Yield all clips, as they are or degraded."""
    for name, rows in SETS.items():
        for path, label, source, *_ in rows(data):
            clip = LabelledClip(Path(path), label, source)
            yield Case(clip if degradation == AS_IT_IS else degraded(clip, degradation, work), name)


def labels_of(scanner: Scanner, paths: Sequence[Path], work: Path) -> dict[str, str | None]:
    """Return the label of each clip, None where there is no answer; what an earlier call kept is not scanned again."""
    with RowLog(work / f"verdicts-{scanner.settings_hash}.jsonl", lambda row: row["path"]) as log:
        missing = [path for path in map(str, paths) if path not in log]
        for verdict in scanner.scan_many(missing):
            log.append(verdict.path, {"path": verdict.path, "label": verdict.label, "p": verdict.fake_probability})
        return {row["path"]: row["label"] for row in log.rows(map(str, paths))}


def counts(found: Sequence[tuple[str, str | None]]) -> str:
    """Count, of the authentic clips and of the fakes, those called fake and those decided."""
    columns = []
    for truth in ("real", "fake"):
        own = [label for true, label in found if true == truth]
        decided = sum(label in ("real", "fake") for label in own)
        columns.append(f"{len(own):>6}{own.count('fake'):>6}{decided:>9}")
    return "  ".join(columns)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="names or folders")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--degrade", nargs="*", default=DEGRADATIONS, metavar="'NAME AMOUNT'")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for model in given.models:
        scanner = KeepingScanner(model, given.work)
        print(
            f"{model}\n{'':<24}{'real':>6}{'fake':>6}{'decided':>9}  {'fakes':>6}{'fake':>6}{'decided':>9}", flush=True
        )
        for degradation in (AS_IT_IS, *given.degrade):
            known = list(cases(given.data, degradation, given.work))
            labels = labels_of(scanner, [case.clip.path for case in known], given.work)
            for name in (*SETS, "all"):
                own = [case for case in known if name in (case.set_name, "all")]
                found = [(case.clip.label, labels[str(case.clip.path)]) for case in own]
                print(f"{degradation:<16}{name:<8}{counts(found)}", flush=True)
        scanner.found.close()


def _values(face: Face) -> tuple[object, ...]:
    return face.xyxy_px, face.confidence, None if face.landmarks_px is None else face.landmarks_px.tolist()


def _face(box: list[float], confidence: float, landmarks: list[list[float]] | None) -> Face:
    left, top, right, bottom = box
    return Face((left, top, right, bottom), confidence, None if landmarks is None else np.array(landmarks, np.float32))


if __name__ == "__main__":
    main()
