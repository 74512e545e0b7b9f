"""Make a model's int8 network with crops of packs: ranges from training faces, the check on held-out ones.

    python scripts/quantise_packs.py PACKS MODEL_FOLDER --data "what the crops are" [--each 60] [--seed 0]

Of each collection and label, ``--each`` faces of the training folds measure the ranges; all faces of fold 0 check.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from unmask.augment.filmed import framed
from unmask.models import load_card
from unmask.models.quantise import quantise_model
from unmask.training.packs import FacePacks


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("packs", type=Path)
    options.add_argument("model", type=Path)
    options.add_argument("--data", required=True, help="for the card")
    options.add_argument("--each", type=int, default=60)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    packs, crop, rng = FacePacks(given.packs), load_card(given.model).crop, np.random.default_rng(given.seed)
    kinds: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, face in enumerate(packs.faces):
        if face.fold:
            kinds[face.collection, face.label].append(number)
    ranging = [number for numbers in kinds.values() for number in rng.permutation(numbers)[: given.each]]
    checking = [number for number, face in enumerate(packs.faces) if face.fold == 0]
    ranging_NSS3, checking_MSS3 = (
        np.stack([framed(packs.read(i), packs.faces[i].box_px, crop.size_px, crop.margin) for i in numbers])
        for numbers in (ranging, checking)
    )
    labels_M = [packs.faces[i].label for i in checking]
    print(quantise_model(given.model, ranging_NSS3, checking_MSS3, labels_M, data=given.data)[1])


if __name__ == "__main__":
    main()
