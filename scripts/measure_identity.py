"""Choose the thresholds of an embedder on half of the people, and measure on the other half how often they err.

    python scripts/measure_identity.py EMBEDDER [EMBEDDER ...] --data ../shared/data [--seed 0] [--keep FILE] [--write]

A picture or a clip is one vector: the mean over at most six frames, of the largest face. ``same_below`` is nine tenths
of the smallest distance of two people, of the half that chooses: two people must not become one, at the price of one
person who stays two. ``different_above`` is the distance that one in 100 pairs of two people fall below: of these
nothing is said. Pairs of one person are two pictures or two clips, never one clip. The people are halved twenty times
at random; the numbers are means over the halves that did not choose, the card's thresholds are the medians of those
that were chosen.

The embedders must cut faces alike. ``--keep`` keeps the crops for another run; ``--write`` puts the numbers into each
card. The data: portraits (London, Canada), the authentic clips of ``videos``, ``devset`` and ``devset2``, and the
authentic crops of ``train/video_crops``.
"""

from __future__ import annotations

import argparse
import csv
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces import load_detector
from unmask.faces.identity import group_vectors, unit_vectors
from unmask.media import sample_frames
from unmask.metrics import equal_error_rate
from unmask.models import Embedder
from unmask.models.card import CARD_FILE
from unmask.models.embedder import choose_thresholds
from unmask.storage.atomic import write_file
from unmask.types import DetectorSpec, ImageHW3

FRAMES = 6
REPEATS = 20
UNKNOWN = "grid"
"""Clips of a corpus whose speakers are not named: pairs among them say nothing."""
ALIASES = {
    "dfltw1": "dfl-target-13",
    "st-86": "st-87",
    "video_retalking_3": "sadtalker_hdtf_WDA_AlexandriaOcasioCortez_000",
    **{f"liveportrait_{name}": f"liveportrait_{name.partition('_')[0]}" for name in ("d10_8acd25",)},
    **{f"video_retalking_{name}": f"video_retalking_{name[0]}" for name in ("2_f431ba", "4_205922", "5_311546")},
    "video_retalking_3_a82110": "sadtalker_hdtf_WDA_AlexandriaOcasioCortez_000",
}
"""People who have two names in the lists, found by looking at the nearest pairs."""


THRESHOLDS = ("same_below", "different_above")


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of somebody."""

    person: str
    source: str
    """The clip or portrait that it is from."""
    image_HW3: ImageHW3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("embedders", nargs="+", help="folders, or bundled")
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--keep", type=Path, help="an .npz file")
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    embedders = [Embedder(name) for name in given.embedders]
    people, sources, crops = cut_all(embedders[0], given.data, given.keep)
    for name, embedder in zip(given.embedders, embedders, strict=True):
        parts = np.array_split(crops, len(crops) // 16 + 1)
        vectors = unit_vectors(np.concatenate([embedder.embed(list(part)) for part in parts]))
        known = measured(people, sources, vectors, given.seed) | {"script": Path(__file__).name, "seed": given.seed}
        print(name, json.dumps(known, indent=1), flush=True)
        if given.write:
            card = replace(embedder.card, about=embedder.card.about | {"evaluation": known})
            write_file(embedder.folder / CARD_FILE, json.dumps(asdict(card), indent=1).encode() + b"\n")


def cut_all(embedder: Embedder, data: Path, keep: Path | None) -> tuple[list[str], list[str], NDArray[np.uint8]]:
    """Return person, source and crop of each picture in which a face is found."""
    if keep is not None and keep.exists():
        kept = np.load(keep)
        return kept["people"].tolist(), kept["sources"].tolist(), kept["crops"]
    detector, found = load_detector(DetectorSpec()), []
    for shown in pictures(data):
        if faces := detector.detect(shown.image_HW3):
            largest = max(faces, key=lambda face: face.side_px)
            person = ALIASES.get(shown.person, shown.person)
            found.append((person, shown.source, embedder.cut(shown.image_HW3, largest)))
    people, sources, crops = (list(part) for part in zip(*found, strict=True))
    if keep is not None:
        np.savez(keep, people=people, sources=sources, crops=np.stack(crops))
    return people, sources, np.stack(crops)


def pictures(data: Path) -> Iterator[Shown]:
    """Yield portraits, frames of clips, and crops."""
    for name, image_HW3 in images_of(data / "faces" / "london_canada.tar"):
        stem = Path(name).stem  # smiling_front_012_08, canada_003f
        yield Shown(stem.split("_")[2] if "_front_" in stem else stem, stem, image_HW3)
    clips = {path: path.stem.split("_")[0] if path.stem.startswith(UNKNOWN) else path.stem
             for path in sorted((data / "videos").iterdir())}  # fmt: skip
    for folder in ("devset", "devset2"):
        for row in rows_of(data / folder / "labels_videos.csv"):
            if row["label"] == "real":
                clips[data / folder / row["file"]] = row.get("person") or Path(row["file"]).stem.partition("__")[0]
    for path, person in clips.items():
        for frame in sample_frames(path, FRAMES):
            yield Shown(person, str(path), frame.image_HW3)
    rows = {Path(row["file"]).name: row for row in rows_of(data / "train" / "video_crops.csv")}
    for name, image_HW3 in images_of(data / "train" / "video_crops.tar"):
        row = rows.get(Path(name).name)
        if row and row["label"] == "real" and row["part"] != "dev":  # the others' clips are in devset2
            yield Shown(row["person"], row["clip"], image_HW3)


def images_of(archive: Path) -> Iterator[tuple[str, ImageHW3]]:
    """Yield name and picture of each image."""
    with tarfile.open(archive) as members:
        for member in members:
            if (file := members.extractfile(member)) is not None:
                image_HW3 = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
                if image_HW3 is not None:
                    yield member.name, cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB)


def rows_of(table: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measured(people: list[str], sources: list[str], x_NC: NDArray[np.float64], seed: int) -> dict[str, Any]:
    """Return the thresholds that halves of the people choose, and how they do on the other halves."""
    units = list(dict.fromkeys(sources))
    places = [np.flatnonzero(np.array(sources) == unit) for unit in units]
    vectors = unit_vectors(np.stack([x_NC[place].mean(0) for place in places]))
    who = np.array([people[place[0]] for place in places])
    names, rng = np.unique(who), np.random.default_rng(seed)
    halves = [np.isin(who, rng.permutation(names)[::2]) for _ in range(REPEATS)]
    judged = [judge(vectors, who, chooses) for chooses in halves]
    means = {key: round(float(np.mean([each[key] for each in judged])), 6) for key in judged[0]}
    chosen = {key: round(float(np.median([each[key] for each in judged])), 3) for key in THRESHOLDS}
    return {"people": len(names), "pictures_and_clips": len(units), "halvings": REPEATS} | means | chosen


def judge(vectors_UC: NDArray[np.float64], who: NDArray[Any], chooses: NDArray[np.bool_]) -> dict[str, float]:
    """Return the thresholds that one half chooses, and how they do on the other one."""
    i, j = np.triu_indices(len(who), 1)
    distance, same = (1 - vectors_UC @ vectors_UC.T)[i, j], who[i] == who[j]
    counts = ~((who[i] == UNKNOWN) & (who[j] == UNKNOWN))
    choosing, judging = (counts & half[i] & half[j] for half in (chooses, ~chooses))
    same_below, different_above = choose_thresholds(distance[choosing & ~same])
    one, two = distance[judging & same], distance[judging & ~same]
    tested = np.flatnonzero(~chooses & (who != UNKNOWN))
    groups, (a, b) = np.array(group_vectors(vectors_UC[tested], same_below)), np.triu_indices(len(tested), 1)
    together, alike = groups[a] == groups[b], who[tested][a] == who[tested][b]
    wrong = together & ~alike
    return {
        "same_below": same_below,
        "different_above": different_above,
        "pairs_of_one_person": len(one),
        "pairs_of_two_people": len(two),
        "one_person_called_same": (one <= same_below).mean(),
        "one_person_called_different": (one > different_above).mean(),
        "two_people_called_same": (two <= same_below).mean(),
        "two_people_called_different": (two > different_above).mean(),
        "equal_error_rate": equal_error_rate(same[judging], -distance[judging]),
        "grouped_rightly": (together & alike).sum() / alike.sum(),
        "people_in_groups_with_others": len({*who[tested][a[wrong]], *who[tested][b[wrong]]}),
    }


if __name__ == "__main__":
    main()
