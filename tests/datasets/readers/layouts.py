"""Datasets of empty files, laid out as the real ones: no reader opens a video."""

import json
from pathlib import Path

from unmask.datasets.index import Clip, Index

FF = "{}/{}/c40/videos/{}.mp4"


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def by_id(index: Index) -> dict[str, Clip]:
    return {clip.id: clip for clip in index.clips}


def faults(index: Index) -> list[tuple[str, str | None]]:
    return [(fault.file, fault.key) for fault in index.faults]


def faceforensics(root: Path) -> Path:
    reals = [FF.format("original_sequences", "youtube", number) for number in ("183", "253", "071", "054")]
    fakes = [FF.format("manipulated_sequences", "Deepfakes", pair) for pair in ("183_253", "253_183", "071_054")]
    return touch(root, *reals, *fakes)


def write_splits(folder: Path, **lists: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        (folder / f"{split}.json").write_text(json.dumps(lists.get(split, [])))


def kaggle_dfd(root: Path) -> Path:
    touch(root, "DFD_original sequences/01__exit_phone_room.mp4", "DFD_original sequences/02__kitchen_pan.mp4")
    return touch(root, "DFD_manipulated_sequences/DFD_manipulated_sequences/01_02__exit_phone_room__YVGY8LOK.mp4")


def celeb_df(root: Path) -> Path:
    touch(root, "Celeb-real/id0_0000.mp4", "Celeb-real/id1_0000.mp4", "YouTube-real/00170.mp4")
    return touch(root, "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id1_id0_0000.mp4")


def deeperforensics(root: Path) -> Path:
    touch(root, *(f"manipulated_videos/{variant}/000_M101.mp4" for variant in ("end_to_end", "reenact_postprocess")))
    touch(root, "manipulated_videos/end_to_end/001_W006.mp4")
    return touch(root, "source_videos/M101/light_up/happy/camera_front/M101_light_up_happy_camera_front.mp4")


def tree(root: Path) -> Path:
    return touch(root, "real/a.mp4", "fake/b.mp4", "fake/Deepfakes/b.avi", "fake/notes.txt")


def dfdc(root: Path) -> Path:
    touch(root, "dfdc_train_part_0/a.mp4")
    (root / "dfdc_train_part_0/metadata.json").write_text('{"a.mp4": {"label": "REAL"}}')
    return root


def dfdc_test(root: Path) -> Path:
    return touch(root, "test_videos/a.mp4")


def dfdc_preview(root: Path) -> Path:
    clips = {
        "original_videos/643755/643755_A_001.mp4": {"label": "real", "set": "train", "augmentations": []},
        "method_A/643755/643755_B_001.mp4": {"label": "fake", "set": "train", "target_id": "643755"},
        "method_B/1226024/1226024_C_001.mp4": {"label": "fake", "set": "test", "target_id": "1226024"},
    }
    (root / "dataset.json").write_text(json.dumps(clips))
    return touch(root, *clips)


def lav_df(root: Path) -> Path:
    clips = [
        {"file": "train/000001.mp4", "original": None, "modify_video": False, "modify_audio": False, "split": "train"},
        {"file": "train/000002.mp4", "original": "train/000001.mp4", "modify_video": True, "modify_audio": True,
         "split": "train"},
        {"file": "dev/000003.mp4", "original": "train/000001.mp4", "modify_video": False, "modify_audio": True,
         "split": "dev"},
        {"file": "test/000004.mp4", "original": "test/000009.mp4", "modify_video": True, "modify_audio": False,
         "split": "test"},
    ]  # fmt: skip
    (root / "metadata.min.json").write_text(json.dumps(clips))
    return touch(root, *(str(clip["file"]) for clip in clips))


LAYOUTS = {
    "dfdc": (dfdc, dfdc_test), "faceforensics": (faceforensics, kaggle_dfd), "celeb_df": (celeb_df,),
    "deeperforensics": (deeperforensics,), "tree": (tree,), "dfdc_preview": (dfdc_preview,),
    "lav_df": (lav_df,),
}  # fmt: skip
