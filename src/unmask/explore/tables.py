"""The tables of an exploration: one row a video, one row a face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unmask.datasets.index import Clip, Index
from unmask.datasets.parquet import write_parquet
from unmask.storage.rowlog import Row

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
    "compression": "string", "people": "list<string>", "part": "int32", "split": "string", "fakes": "int32",
    "status": "string", "reason": "string", "sha256": "string", "size_bytes": "int64", "pixel_format": "string",
    "frames_claimed": "int64", "cut_short": "bool", "rotation_degrees": "int32", "encoder": "string",
    "frames_looked_at": "int32", "faces_most": "int32", "face_side_px": "float32", "confidence": "float32",
    "suspicions": "list<string>",
}  # fmt: skip
"""Ours beside them. ``fakes`` counts those made from an original; ``faces_most`` is the most in one frame."""


def write_videos(index: Index, rows: Sequence[Row], suspicions: dict[str, list[str]], path: Path) -> None:
    """Write one row for each video.

    Raises:
        UsageError: pyarrow is not installed.
    """
    fakes = Counter(clip.original for clip in index.clips if clip.original)
    table = (
        _video_row(clip, row, fakes[clip.id] if clip.label == "real" else None, suspicions.get(clip.id, []))
        for clip, row in zip(index.clips, rows, strict=True)
    )
    write_parquet(table, path, VIDEO_COLUMNS, {"dataset": index.dataset, "root": str(index.root.resolve())})


def write_faces(index: Index, rows: Sequence[Row], detectors: Sequence[str], path: Path) -> None:
    """Write one row for each face in each frame that was looked at, with each detector's box, in pixels.

    Raises:
        UsageError: pyarrow is not installed.
    """
    columns = {
        "filename": "string", "id": "string", "image": "string", "frame": "int32", "time_seconds": "float32",
        "votes": "int32", "doubts": "list<string>", "landmarks": "list<float>",
    }  # fmt: skip
    for name in detectors:
        columns |= {f"box_{name}": "list<float>", f"confidence_{name}": "float32"}
    table = (_face_row(clip, row, face) for clip, row in zip(index.clips, rows, strict=True) for face in row["faces"])
    write_parquet(table, path, columns)


def _video_row(clip: Clip, row: Row, fakes: int | None, suspicions: list[str]) -> dict[str, Any]:
    known: dict[str, Any] = {"filename": Path(clip.path).name, "people": list(clip.people), "fakes": fakes}
    for name in ("id", "path", "label", "original", "method", "compression", "part", "split"):
        known[name] = getattr(clip, name)
    known |= {"status": row["status"], "reason": row["reason"], "suspicions": suspicions}
    if row["frames"]:
        per_frame = Counter(face["frame"] for face in row["faces"])
        best = [next(iter(face["found"].values())) for face in row["faces"]]
        known |= {"frames_looked_at": len(row["frames"]), "faces_most": max(per_frame.values(), default=0)}
        if best:
            known["face_side_px"] = float(np.median([side_px(found) for found in best]))
            known["confidence"] = float(np.median([found["confidence"] for found in best]))
    return known | _media_row(row["media"]) if row["media"] else known


def _media_row(media: dict[str, Any]) -> dict[str, Any]:
    video = {
        "format": media["container"], "video_codec_name": media["codec"], "video_height": media["height"],
        "video_width": media["width"], "video_nb_frames": media["frames"], "video_bit_rate": media["bit_rate"],
        "video_duration": media["duration_seconds"], "video_start_time": media["start_seconds"],
        "video_fps": media["frame_rate"],
    }  # fmt: skip
    ours = ("sha256", "size_bytes", "pixel_format", "frames_claimed", "cut_short", "rotation_degrees", "encoder")
    video |= {name: media[name] for name in ours}
    audio = media["audio"]
    if audio is None:
        return video
    return video | {
        "audio_codec_name": audio["codec"], "audio_channels": audio["channels"],
        "audio_sample_rate": audio["sample_rate_hz"], "audio_nb_frames": audio["frames"],
        "audio_bit_rate": audio["bit_rate"], "audio_duration": audio["duration_seconds"],
        "audio_start_time": audio["start_seconds"],
    }  # fmt: skip


def _face_row(clip: Clip, row: Row, face: dict[str, Any]) -> dict[str, Any]:
    known = {
        "filename": Path(clip.path).name,
        "id": clip.id,
        "image": f"output_{row['frames'].index(face['frame']) + 1:04d}.png",
        **{name: face[name] for name in ("frame", "time_seconds", "votes", "doubts")},
    }
    for name, found in face["found"].items():
        known |= {f"box_{name}": found["xyxy_px"], f"confidence_{name}": found["confidence"]}
        if found["landmarks_px"]:
            known.setdefault("landmarks", [value for point in found["landmarks_px"] for value in point])
    return known


def side_px(found: dict[str, Any]) -> float:
    """Return the longer side of a found box in pixels."""
    x1, y1, x2, y2 = found["xyxy_px"]
    return float(max(x2 - x1, y2 - y1))
