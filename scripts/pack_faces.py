"""Pack labelled faces and authentic ones for `unmask train`, from archives of known datasets.

    python scripts/pack_faces.py --data DATA --out PACKS [--only ffpp dfdc ...]
    python scripts/pack_faces.py --prepared ffpp=PREPARED dfdc=PREPARED --out PACKS [--every 30]

DATA has ``train/{ffpp_crops,dfdc_faces224,video_crops}.{tar,csv}``, ``faces/*.tar`` and ``videos/``. Each face is found
anew by the detector that scans use, so that training frames it alike; where it finds none, the whole picture is taken
for the face. Whole targets and people validate: an eighth of the groups of each collection, of the clips those marked
``dev``. Of ``videos/`` a third of the people is left out altogether, for calibration.

PREPARED is a folder of ``unmask prepare``; of its crops every ``--every``-th frame is taken, fold 0 validates, and the
method is the first folder of a fake's id.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from collect_faces import HELD_OUT, person

from unmask.faces import Detector, load_detector
from unmask.media import sample_frames
from unmask.prepare.layout import read_folds
from unmask.scan.inputs import list_inputs
from unmask.storage.arrays import read_array
from unmask.training.packs import PackedFace, decode, write_pack
from unmask.types import DetectorSpec, Face, ImageHW3

MARGIN = 0.45
"""Context kept around the faces of clips and large portraits, in sides of the box."""
MOST_PX, VIDEO_FRAMES, STILLS, VALIDATES = 320, 16, 3000, 8
LEAST_INSIDE = 0.9
"""Share of a face's box that lies in its picture, for the picture not to be a tight one."""
QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 95)
Packed = Iterator[tuple[PackedFace, bytes]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, help="folder of archives")
    options.add_argument("--prepared", nargs="*", default=[], metavar="NAME=FOLDER", help="folders of unmask prepare")
    options.add_argument("--every", type=int, default=30, help="of the frames of prepared clips")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--only", nargs="*", default=list(PACKS), choices=list(PACKS))
    given = options.parse_args()
    for name in given.only if given.data is not None else ():
        print(name, write_pack(given.out / name, PACKS[name](given.data)), flush=True)
    for word in given.prepared:
        name, _, folder = word.partition("=")
        print(name, write_pack(given.out / name, prepared(Path(folder), name, given.every)), flush=True)


def ffpp(data: Path) -> Packed:
    """FaceForensics++: one or two crops a video, tied to their originals by target."""
    rows, files = table(data / "train/ffpp_crops.csv"), members(data / "train/ffpp_crops.tar")
    for row in rows:
        fold = held_out(row["target_group"])
        method = "real" if row["label"] == "real" else row["method"]
        yield described(files(row["file"]), row["file"], "ffpp", method, row["target_group"], fold=fold)


def dfdc(data: Path) -> Packed:
    """DFDC: one face a video, every fake with its original's name."""
    rows, files = table(data / "train/dfdc_faces224.csv"), members(data / "train/dfdc_faces224.tar")
    for row in rows:
        group = Path(row["original"] or row["file"]).stem
        method = "real" if row["label"] == "real" else "dfdc"
        scale = float(row["face_px_w"]) / 224
        yield described(files(row["file"]), row["file"], "dfdc", method, group, fold=held_out(group), scale=scale)


def clips(data: Path) -> Packed:
    """Crops of clips: swaps with aligned originals, lip-sync, talking heads, authentic people."""
    rows, files = table(data / "train/video_crops.csv"), members(data / "train/video_crops.tar")
    originals = {(r["pair"], r["frame"]): r["file"] for r in rows if r["label"] == "real" and r["pair"]}
    for row in rows:
        fake, content = row["label"] == "fake", files(row["file"])
        original = originals.get((row["pair"], row["frame"]), "") if fake else ""
        method = clip_method(row["method"]) if fake else "real"
        side = decode(content).shape[0]
        yield described(
            content, row["file"], "clips", method, row["person"], fold=0 if row["part"] == "dev" else 1,
            scale=max(1.0, float(row["face_px"] or side) / side), original=original,
        )  # fmt: skip


def clip_method(words: str) -> str:
    """Name the family of a method."""
    if words.startswith("DeepFaceLive"):
        return "deepfacelive"
    return "lipsync" if words.startswith("Wav2Lip") else "talkinghead"


def stills(data: Path) -> Packed:
    """Authentic pictures; of the largest archive a part."""
    for archive in ("ffhq256", "london_canada", "utkface"):
        files = members(data / f"faces/{archive}.tar")
        for name in sorted(files.names, key=lambda name: hashlib.sha256(name.encode()).digest())[:STILLS]:
            content = files(name)
            if decode(content).shape[0] > 2 * MOST_PX:
                content = cut(content)
            yield described(content, f"{archive}/{name}", archive, "real", name, fold=1)


def videos(data: Path) -> Packed:
    """Frames of authentic clips, but of a third of the people none."""
    detector = load_detector(DetectorSpec(scale="adaptive", thresholds=(0.7, 0.8, 0.95)))
    for item in list_inputs([data / "videos"]):
        name = Path(item.name).stem
        if int(hashlib.sha256(person(name).encode()).hexdigest(), 16) % HELD_OUT == 0:
            continue
        for frame in sample_frames(Path(item.path), VIDEO_FRAMES):
            faces = detector.detect(frame.image_HW3)
            face = max(faces, key=lambda face: face.side_px, default=None)
            if face is None or face.side_px < 60 or face.landmarks_px is None:
                continue
            content, box, points = portrait(frame.image_HW3, face)
            yield (
                PackedFace(
                    f"{name}/{frame.index}", "videos", "real", 0, person(name), "", 1, face.side_px, box, points
                ),
                content,
            )


def prepared(folder: Path, collection: str, every: int) -> Packed:
    """Crops of ``unmask prepare``: the face's box with a third of it on each side, so three fifths of the crop."""
    for row in read_folds(folder / "folds.csv"):
        if row.frame % every:
            continue
        content = (folder / "crops" / row.video / row.file).read_bytes()
        height, width = decode(content).shape[:2]
        points = folder / "landmarks" / row.original / f"{Path(row.file).stem}.npy"
        landmarks = read_array(points).astype(float).ravel().tolist() if points.exists() else []
        box = (0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height)
        method = row.video.split("/")[0] if row.label and "/" in row.video else collection
        original = f"{row.original}/{row.file}" if row.label and row.original != row.video else ""
        yield (
            PackedFace(
                f"{row.video}/{row.file}",
                collection,
                method if row.label else "real",
                row.label,
                row.original,
                original,
                min(1, row.fold),
                max(box[2] - box[0], box[3] - box[1]),
                box,
                tuple(landmarks),
            ),
            content,
        )


PACKS: dict[str, Callable[[Path], Packed]] = {
    "ffpp": ffpp, "dfdc": dfdc, "clips": clips, "stills": stills, "videos": videos
}  # fmt: skip


def described(
    content: bytes, name: str, collection: str, method: str, group: str, *, fold: int, scale: float = 0.0,
    original: str = "",
) -> tuple[PackedFace, bytes]:  # fmt: skip
    """Find the face of a picture; ``scale`` is what one of its pixels measures in its clip, 0 when not known."""
    image_HW3 = decode(content)
    box, points = found(image_HW3)
    side = max(box[2] - box[0], box[3] - box[1])
    label = int(method != "real")
    return PackedFace(name, collection, method, label, group, original, fold, side * scale, box, points), content


_DETECTORS: list[Detector] = []


def found(image_HW3: ImageHW3) -> tuple[tuple[float, float, float, float], tuple[float, ...]]:
    """Return box and landmarks of the largest face: as a scan finds it, or, of a tight picture, on black ground."""
    if not _DETECTORS:
        _DETECTORS.append(load_detector(DetectorSpec(scale="adaptive", thresholds=(0.7, 0.8, 0.95))))
        _DETECTORS.append(load_detector(DetectorSpec(scale=1.0, thresholds=(0.6, 0.7, 0.8))))
    height, width = image_HW3.shape[:2]
    for detector, edge in zip(_DETECTORS, (0, width // 2), strict=True):
        seen_HW3 = cv2.copyMakeBorder(image_HW3, edge, edge, edge, edge, cv2.BORDER_CONSTANT) if edge else image_HW3
        face = max(detector.detect(seen_HW3), key=lambda face: face.side_px, default=None)
        if face is not None and face.side_px > 0.35 * height and face.landmarks_px is not None:
            x1, y1, x2, y2 = (float(value) - edge for value in face.xyxy_px)
            inside = max(0, min(x2, width) - max(x1, 0)) * max(0, min(y2, height) - max(y1, 0))
            if edge or inside > LEAST_INSIDE * (x2 - x1) * (y2 - y1):
                return (x1, y1, x2, y2), tuple((face.landmarks_px - edge).ravel().tolist())
    return (0.0, 0.0, float(width), float(height)), ()


def cut(content: bytes) -> bytes:
    """Cut the face out of a large picture, with context."""
    image_HW3 = decode(content)
    scale = 900 / max(image_HW3.shape[:2])
    image_HW3 = cv2.resize(image_HW3, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (x1, y1, x2, y2), points = found_large(image_HW3)
    return portrait(image_HW3, Face((x1, y1, x2, y2), 1.0, points))[0]


def found_large(image_HW3: ImageHW3) -> tuple[tuple[float, float, float, float], np.ndarray]:
    detector = load_detector(DetectorSpec(scale=1.0, thresholds=(0.6, 0.7, 0.8)))
    face = max(detector.detect(image_HW3), key=lambda face: face.side_px)
    assert face.landmarks_px is not None
    return face.xyxy_px, face.landmarks_px


def portrait(image_HW3: ImageHW3, face: Face) -> tuple[bytes, tuple[float, float, float, float], tuple[float, ...]]:
    """Return the picture around a face as JPEG, at most MOST_PX wide, and box and landmarks in it."""
    x1, y1, x2, y2 = face.xyxy_px
    pad = MARGIN * face.side_px
    left, top = max(0, round(x1 - pad)), max(0, round(y1 - pad))
    part_HW3 = image_HW3[top : round(y2 + pad), left : round(x2 + pad)]
    scale = min(1.0, MOST_PX / max(part_HW3.shape[:2]))
    if scale < 1:
        part_HW3 = cv2.resize(part_HW3, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    content = cv2.imencode(".jpg", cv2.cvtColor(part_HW3, cv2.COLOR_RGB2BGR), QUALITY)[1].tobytes()
    box = ((x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale)
    assert face.landmarks_px is not None
    points = ((np.asarray(face.landmarks_px) - [left, top]) * scale).ravel().tolist()
    return content, box, tuple(points)


def held_out(group: str) -> int:
    """Return the fold of a group: one in eight validates."""
    return min(1, int(hashlib.sha256(group.encode()).hexdigest(), 16) % VALIDATES)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class members:  # noqa: N801 - used like a function
    """The files of an archive by name."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as archive:
            self._content = {
                Path(member.name).name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isfile()
            }
        self.names = list(self._content)

    def __call__(self, name: str) -> bytes:
        """Return the bytes of a file, whatever folder it is in."""
        return self._content[Path(name).name]


if __name__ == "__main__":
    main()
