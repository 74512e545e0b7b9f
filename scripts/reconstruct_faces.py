"""Draw the authentic faces of packs anew with small autoencoders, as a further pack: fakes that are generated whole.

    python scripts/reconstruct_faces.py PACKS --encoder lite0.safetensors [--seconds 50] [--device cuda]
        [--networks FILE]

Trains on the faces that `unmask train` trains on (fold 0 stays out), writes PACKS/reconstructed.{bin,csv}. Half of the
pictures are saved as JPEG, half without loss, so that traces of saving tell nothing. FILE keeps the autoencoders: where
it is there already, they are taken from it instead of being trained.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from torch import nn

from unmask.models.networks.encoders import create_encoder
from unmask.models.networks.export import load_weights
from unmask.training.packs import FacePacks, PackedFace, write_pack
from unmask.training.twins import Twins, batches_by_size, train_twins

LEAST_PX = 128
EACH = 2
"""Times each face is drawn, by different autoencoders."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("packs", type=Path)
    options.add_argument("--encoder", type=Path, required=True, help="weights of tf_efficientnet_lite0")
    options.add_argument("--seconds", type=float, default=50)
    options.add_argument("--device", default="cpu")
    options.add_argument("--most", type=int, default=10**6, help="faces that are drawn")
    options.add_argument("--networks", type=Path, help="file that the autoencoders are kept in")
    options.add_argument("--out", type=Path, help="stem of the pack that is written; PACKS/reconstructed otherwise")
    given = options.parse_args()
    packs = FacePacks(given.packs)
    chosen = [i for i, face in enumerate(packs.faces) if face.fold and not face.label]
    images = [packs.read(i) for i in chosen]
    chosen = [i for i, image in zip(chosen, images, strict=True) if min(image.shape[:2]) >= LEAST_PX][: given.most]
    images = [image for image in images if min(image.shape[:2]) >= LEAST_PX][: given.most]
    twins = trained(given, images)

    def drawn() -> Iterator[tuple[PackedFace, bytes]]:
        rng, names = np.random.default_rng(0), sorted(twins.networks)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for numbers in batches_by_size(images):
                for name in rng.choice(names, EACH, replace=False):
                    pictures = twins.draw(name, [images[i] for i in numbers])
                    qualities = [int(q) for q in rng.integers(80, 101, len(numbers)) * (rng.random(len(numbers)) < 0.5)]
                    contents = pool.map(encoded, pictures, qualities)
                    for number, content in zip(numbers, contents, strict=True):
                        face = packs.faces[chosen[number]]
                        yield (
                            replace(
                                face, name=f"{name}/{face.name}", collection="reconstructed",
                                method=name.split(".")[0], label=1, original=face.name,
                            ),
                            content,
                        )  # fmt: skip

    print(write_pack(given.out or given.packs / "reconstructed", drawn()), "reconstructions", flush=True)


def trained(given: argparse.Namespace, images: list[np.ndarray]) -> Twins:
    """Return the autoencoders: those that are kept, or else newly trained ones."""
    if given.networks is not None and given.networks.exists():
        return Twins.load(given.networks, given.device)
    features: nn.Module = create_encoder("tf_efficientnet_lite0", features_only=True)
    load_weights(features, given.encoder, more=True)
    twins = train_twins(images, features, device=given.device, seconds=given.seconds)
    print("differences in levels:", twins.losses, flush=True)
    if given.networks is not None:
        twins.save(given.networks)
    return twins


def encoded(image_HW3: np.ndarray, quality: int) -> bytes:
    """Save as JPEG of this quality, or as PNG where it is 0."""
    bgr_HW3 = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2BGR)
    if quality:
        return bytes(cv2.imencode(".jpg", bgr_HW3, (cv2.IMWRITE_JPEG_QUALITY, quality))[1])
    return bytes(cv2.imencode(".png", bgr_HW3, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1])


if __name__ == "__main__":
    main()
