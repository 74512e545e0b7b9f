"""Write the tables of an exploration: one row for each video, and one for each face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unmask.datasets.index import Clip, Index
from unmask.datasets.parquet import write_parquet
from unmask.explore.agreement import Vote
from unmask.explore.records import ExploredClip
from unmask.types import DeclaredLabel, Face, MediaFacts

NOTEBOOK_COLUMNS = {
    "filename": "string", "format": "string", "video_codec_name": "string", "video_height": "float32",
    "video_width": "float32", "video_nb_frames": "float32", "video_bit_rate": "float32", "video_duration": "float32",
    "video_start_time": "float32", "video_fps": "float32", "audio_codec_name": "string", "audio_channels": "float32",
    "audio_sample_rate": "float32", "audio_nb_frames": "float32", "audio_bit_rate": "float32",
    "audio_duration": "float32", "audio_start_time": "float32",
}  # fmt: skip
"""The columns of the challenge's exploration notebook, in its order. Seconds, bits a second, pixels, hertz."""

VIDEO_COLUMNS = NOTEBOOK_COLUMNS | {
    "id": "string", "path": "string", "label": "string", "original": "string", "method": "string",
    "compression": "string", "people": "list<string>", "part": "int32", "split": "string", "count": "int32",
    "fakes": "int32",
    "status": "string", "reason": "string", "sha256": "string", "size_bytes": "int64", "pixel_format": "string",
    "frames_claimed": "int64", "cut_short": "bool", "rotation_degrees": "int32", "encoder": "string",
    "frames_looked_at": "int32", "frames_without_face": "int32", "faces_most": "int32", "face_width_px": "float32",
    "face_height_px": "float32", "face_side_px": "float32", "confidence": "float32", "suspicions": "list<string>",
    "declared": "list<string>",
}  # fmt: skip
"""Columns of the notebook, then ours. ``count`` is the notebook's: of a fake, the number of fakes made from its
original, whether that is there or not; ``fakes`` counts those made from an original. ``faces_most`` is the max number
of faces in a frame; ``face_width_px`` and ``face_height_px`` are means over the faces, ``face_side_px`` and
``confidence`` medians. ``declared`` holds scheme and statement of each label, as ``aigc: generated``, and what
is known of a signature, as ``c2pa: captured, signature trusted``."""


def write_videos(index: Index, explored: Sequence[ExploredClip], suspicions: dict[str, list[str]], path: Path) -> None:
    """Write one row for each video.

    Raises:
        UsageError: pyarrow is not installed.
    """
    fakes = Counter(clip.original for clip in index.clips if clip.original)
    table = (
        _video_row(clip, found, suspicions.get(clip.id, []))
        | {"fakes": fakes[clip.id] if clip.label == "real" else None, "count": fakes.get(clip.original or "")}
        for clip, found in zip(index.clips, explored, strict=True)
    )
    write_parquet(table, path, VIDEO_COLUMNS, {"dataset": index.dataset, "root": str(index.root.resolve())})


def write_faces(index: Index, explored: Sequence[ExploredClip], detectors: Sequence[str], path: Path) -> None:
    """Write one row for each face in each frame that was searched, with each detector's box, in pixels.

    Raises:
        UsageError: pyarrow is not installed.
    """
    columns = {
        "filename": "string", "id": "string", "image": "string", "frame": "int32", "time_seconds": "float32",
        "votes": "int32", "doubts": "list<string>", "landmarks": "list<float>",
    }  # fmt: skip
    for name in detectors:
        columns |= {f"box_{name}": "list<float>", f"confidence_{name}": "float32"}
    pairs = zip(index.clips, explored, strict=True)
    table = (
        _face_row(clip, found.frames.index(vote.frame_index), vote) for clip, found in pairs for vote in found.faces
    )
    write_parquet(table, path, columns)


def _video_row(clip: Clip, explored: ExploredClip, suspicions: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"filename": Path(clip.path).name, "people": list(clip.people)}
    for name in ("id", "path", "label", "original", "method", "compression", "part", "split"):
        row[name] = getattr(clip, name)
    row |= {"status": explored.status, "reason": explored.reason, "suspicions": suspicions}
    row["declared"] = [_declared(label) for label in explored.declared]
    if explored.frames:
        per_frame = Counter(vote.frame_index for vote in explored.faces)
        row |= {"frames_looked_at": len(explored.frames), "faces_most": max(per_frame.values(), default=0)}
        row["frames_without_face"] = len(explored.frames) - len(per_frame)
        if explored.faces:
            row["face_width_px"], row["face_height_px"] = mean_size_px([vote.face for vote in explored.faces])
            row["face_side_px"] = float(np.median([vote.face.side_px for vote in explored.faces]))
            row["confidence"] = float(np.median([vote.face.confidence for vote in explored.faces]))
    return row | _media_row(explored.media) if explored.media else row


def _declared(label: DeclaredLabel) -> str:
    signature = "" if label.signature in (None, "not_checked") else f", signature {label.signature}"
    return f"{label.scheme}: {label.says}{signature}"


def mean_size_px(faces: Sequence[Face]) -> tuple[float, float]:
    """Return mean width and height of the boxes of some faces, at least one, in pixels."""
    x1, y1, x2, y2 = np.array([face.xyxy_px for face in faces]).mean(0).tolist()
    return x2 - x1, y2 - y1


def _media_row(media: MediaFacts) -> dict[str, Any]:
    row = {
        "format": media.container, "video_codec_name": media.codec, "video_height": media.height,
        "video_width": media.width, "video_nb_frames": media.frames, "video_bit_rate": media.bit_rate,
        "video_duration": media.duration_seconds, "video_start_time": media.start_seconds,
        "video_fps": media.frame_rate,
    }  # fmt: skip
    own = ("sha256", "size_bytes", "pixel_format", "frames_claimed", "cut_short", "rotation_degrees", "encoder")
    row |= {name: getattr(media, name) for name in own}
    audio = media.audio
    if audio is None:
        return row
    return row | {
        "audio_codec_name": audio.codec, "audio_channels": audio.channels,
        "audio_sample_rate": audio.sample_rate_hz, "audio_nb_frames": audio.frames,
        "audio_bit_rate": audio.bit_rate, "audio_duration": audio.duration_seconds,
        "audio_start_time": audio.start_seconds,
    }  # fmt: skip


def _face_row(clip: Clip, position: int, vote: Vote) -> dict[str, Any]:
    """Return the row of a face in the frame at ``position`` among those that were searched."""
    row = {
        "filename": Path(clip.path).name, "id": clip.id, "image": f"output_{position + 1:04d}.png",
        "frame": vote.frame_index, "time_seconds": vote.time_seconds, "votes": vote.votes, "doubts": list(vote.doubts),
    }  # fmt: skip
    for name, face in vote.faces.items():
        row |= {f"box_{name}": list(face.xyxy_px), f"confidence_{name}": face.confidence}
        if face.landmarks_px is not None:
            row.setdefault("landmarks", face.landmarks_px.ravel().tolist())
    return row
