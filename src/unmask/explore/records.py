"""Hold what an exploration finds out about one clip, and turn it into a row of its log and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from unmask.explore.agreement import Vote
from unmask.explore.changed import FrameChanges
from unmask.storage.rowlog import Row
from unmask.types import AudioFacts, DeclaredLabel, Face, MediaFacts


@dataclass(frozen=True, slots=True)
class ExploredClip:
    """What an exploration found out about one clip."""

    key: str
    """Hash of all that this depends on, see `unmask.explore.exploration.Exploration`."""
    id: str
    """Id of the clip."""
    status: str = "ok"
    """``ok``, or why the clip cannot be used, as in `unmask.types.Status`."""
    reason: str | None = None
    """What went wrong, in a sentence; None when nothing did."""
    media: MediaFacts | None = None
    """What the file is; None when it cannot be read."""
    frames_asked: int = 0
    """Number of frames that were asked for; 0 for a clip outside of the sample."""
    frames: tuple[int, ...] = ()
    """Indices of those that could be decoded and were searched for faces."""
    faces: tuple[Vote, ...] = ()
    """The faces in these frames, in order of time; pixels and confidences are rounded."""
    changes: tuple[FrameChanges, ...] = ()
    """What of a fake was changed in these frames, where that can be told."""
    oddities: tuple[str, ...] = ()
    """What is odd about the clip, in sentences."""
    declared: tuple[DeclaredLabel, ...] = ()
    """What the file declares of itself, what matters most first."""

    def to_row(self) -> Row:
        """Return JSON-ready values."""
        return {
            "key": self.key,
            "id": self.id,
            "status": self.status,
            "reason": self.reason,
            "media": None if self.media is None else asdict(self.media),
            "asked": self.frames_asked,
            "frames": list(self.frames),
            "faces": [_vote_row(vote) for vote in self.faces],
            "changes": [[change.frame_index, list(change.changed), change.aligned] for change in self.changes],
            "oddities": list(self.oddities),
            "declared": [asdict(label) for label in self.declared],
        }

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read what `to_row` returns.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is of another type.
            ValueError: A box is empty.
        """
        return cls(
            key=row["key"],
            id=row["id"],
            status=row["status"],
            reason=row["reason"],
            media=None if row["media"] is None else _media(row["media"]),
            frames_asked=row["asked"],
            frames=tuple(row["frames"]),
            faces=tuple(_vote(face) for face in row["faces"]),
            changes=tuple(FrameChanges(frame, tuple(changed), aligned) for frame, changed, aligned in row["changes"]),
            oddities=tuple(row["oddities"]),
            declared=tuple(DeclaredLabel(**label) for label in row["declared"]),
        )


def _vote_row(vote: Vote) -> Row:
    return {
        "frame": vote.frame_index,
        "time_seconds": round(vote.time_seconds, 6),
        "votes": vote.votes,
        "doubts": list(vote.doubts),
        "found": {
            detector: {
                "xyxy_px": [round(edge, 2) for edge in face.xyxy_px],
                "confidence": round(face.confidence, 4),
                "landmarks_px": None if face.landmarks_px is None else face.landmarks_px.round(1).tolist(),
            }
            for detector, face in vote.faces.items()
        },
    }


def _vote(row: Row) -> Vote:
    faces = {}
    for detector, found in row["found"].items():
        x1, y1, x2, y2 = found["xyxy_px"]
        landmarks_px = None if found["landmarks_px"] is None else np.array(found["landmarks_px"], np.float32)
        faces[detector] = Face((x1, y1, x2, y2), found["confidence"], landmarks_px)
    return Vote(row["frame"], row["time_seconds"], faces, row["votes"], tuple(row["doubts"]))


def _media(row: Row) -> MediaFacts:
    audio = None if row["audio"] is None else AudioFacts(**row["audio"])
    return MediaFacts(**{**row, "audio": audio})
