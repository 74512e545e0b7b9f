"""Read datasets whose folders say which clip is which: WildDeepfake, DeepFake-TIMIT, FFIW and UADFV.

WildDeepfake (Zi et al. 2020, arXiv 2101.01456): ``real_train``, ``real_test``, ``fake_train`` and ``fake_test``, in
which each archive unpacks to ``<number>/real`` or ``fake`` with a folder of face pictures for each sequence.

DeepFake-TIMIT (Korshunov and Marcel 2018, arXiv 1812.08685): ``higher_quality`` and ``lower_quality``, of which
``fadg0/sa1-video-fram1.avi`` is the sentence sa1 of fadg0 with the face of fram1. The authentic clips are VidTIMIT's,
another dataset, which is read from ``VidTIMIT/<person>/<sentence>``.

FFIW-10K (Zhou et al. 2021, CVPR): ``source`` is authentic, ``target`` fake, ``target_mask`` shows where, each with
``train``, ``val`` or, in the release to test on, ``test`` or no folders; tfzhou/FFIW, README.md. Which source a target
was made from is not published there.

UADFV (Li et al. 2018, arXiv 1806.02877): ``real`` and ``fake``, of which ``0000_fake.mp4`` was made from ``0000.mp4``;
DeepfakeBench has ``frames`` in both.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    check_originals,
    clip_id,
    list_videos,
    register_reader,
    split_of_name,
)
from unmask.storage.walk import is_file, is_folder

_WILD: dict[str, tuple[ClipLabel, str]] = {
    "real_train": ("real", "train"), "real_test": ("real", "test"),
    "fake_train": ("fake", "train"), "fake_test": ("fake", "test"),
}  # fmt: skip
_WILD_FOLDER = "deepfake_in_the_wild"
_QUALITIES = ("higher_quality", "lower_quality")
_TIMIT_FAKE = re.compile(r"(.+)-video-(.+)")
_VIDTIMIT = "VidTIMIT"


@register_reader("wilddeepfake")
def read_wilddeepfake(root: Path) -> Index | None:
    """Read the four folders, or those in ``deepfake_in_the_wild``; each sequence of pictures is a clip."""
    base = next((path for path in (root, root / _WILD_FOLDER) if is_folder(path / "fake_test")), None)
    if base is None or not is_folder(base / "real_test"):
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    for name, (label, split) in _WILD.items():
        folder = (base / name).relative_to(root).as_posix()
        if not is_folder(root / folder):
            continue
        paths, wrong = list_videos(root, folder)
        faults += wrong
        clips += [Clip(clip_id(f"{path}/"), path, label, split=split) for path in paths]
        if packed := sum(path.name.endswith((".tar", ".tar.gz")) for path in (root / folder).iterdir()):
            text = f"{packed} archives; what is still packed is not read; unpack each in a folder of its own"
            faults.append(Fault(folder, None, text))
    return Index(root, "wilddeepfake", tuple(clips), tuple(faults))


@register_reader("deepfake_timit")
def read_deepfake_timit(root: Path) -> Index | None:
    """Read the fakes of both qualities, and VidTIMIT's clips where they lie beside them."""
    if not any(is_folder(root / name) for name in _QUALITIES):
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    for folder in (*_QUALITIES, _VIDTIMIT):
        paths, wrong = list_videos(root, folder)
        faults += wrong
        for path in paths:
            pure = PurePosixPath(path)
            person, sentence = pure.parts[1], pure.stem
            found = _TIMIT_FAKE.fullmatch(sentence)
            if folder == _VIDTIMIT:
                clips.append(Clip(_vidtimit_id(person, sentence), path, "real", people=(person,)))
            elif found is None or len(pure.parts) != 3:
                text = (
                    "the name does not say whom it shows; kept without a pair; name it like fadg0/sa1-video-fram1.avi"
                )
                faults.append(Fault(path, None, text))
                clips.append(Clip(clip_id(path), path, "fake", method=folder))
            else:
                people = tuple(sorted({person, found[2]}))
                clips.append(Clip(clip_id(path), path, "fake", _vidtimit_id(person, found[1]), folder, people=people))
    if not is_folder(root / _VIDTIMIT):
        text = f"VidTIMIT's authentic clips are not part of it; put them into {_VIDTIMIT}/<person>/<sentence>"
        faults.append(Fault(_QUALITIES[0], None, text))
    return Index(root, "deepfake_timit", tuple(sorted(clips, key=lambda clip: clip.id)), tuple(faults))


def _vidtimit_id(person: str, sentence: str) -> str:
    return clip_id(f"{_VIDTIMIT}/{person}/{sentence}.avi")


@register_reader("ffiw")
def read_ffiw(root: Path) -> Index | None:
    """Read source, target and target_mask; masks are taken where they have a target's name."""
    if not (is_folder(root / "source") and is_folder(root / "target")):
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    labels: dict[str, ClipLabel] = {"source": "real", "target": "fake"}
    for folder, label in labels.items():
        paths, wrong = list_videos(root, folder)
        faults += wrong
        for path in paths:
            pure = PurePosixPath(path)
            mask = PurePosixPath("target_mask", *pure.parts[1:])
            known = label == "fake" and (is_file(root / mask) or is_folder(root / mask))
            split = split_of_name(pure.parts[1])
            clips.append(Clip(clip_id(path), path, label, split=split, mask=mask.as_posix() if known else None))
    return Index(root, "ffiw", tuple(sorted(clips, key=lambda clip: clip.id)), tuple(faults))


@register_reader("uadfv")
def read_uadfv(root: Path) -> Index | None:
    """Read ``real`` and ``fake`` where the names of most fakes are those of real clips with ``_fake`` after them."""
    if not (is_folder(root / "real") and is_folder(root / "fake")):
        return None
    found = {label: list_videos(root, label) for label in ("real", "fake")}
    stems = {PurePosixPath(path).stem for path in found["real"][0]}
    fakes = found["fake"][0]
    if 2 * sum(_source_of(path) in stems for path in fakes) <= len(fakes):
        return None
    clips = [Clip(_uadfv_id("real", PurePosixPath(path).stem), path, "real") for path in found["real"][0]]
    for path in fakes:
        of = _source_of(path)
        original = None if of not in stems else _uadfv_id("real", str(of))
        clips.append(Clip(_uadfv_id("fake", PurePosixPath(path).stem), path, "fake", original))
    usable, wrong = check_originals(clips, lambda clip: (clip.path, None))
    faults = (*found["real"][1], *found["fake"][1], *wrong)
    return Index(root, "uadfv", tuple(sorted(usable, key=lambda clip: clip.id)), faults)


def _uadfv_id(label: str, stem: str) -> str:
    return clip_id(f"{label}/{stem}.mp4")


def _source_of(path: str) -> str | None:
    """Return the name that a fake of UADFV says it was made from."""
    stem = PurePosixPath(path).stem
    return stem.removesuffix("_fake") if stem.endswith("_fake") else None
