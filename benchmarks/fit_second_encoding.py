"""Fit what tells the comb of an earlier encoding, `unmask.evidence.comb`, and write it.

    python benchmarks/fit_second_encoding.py --videos FOLDER --keep work/combs.npz

Makes 800 films of 48 frames as `bench_second_encoding.py` does, with other seeds and from the half of the videos that
it does not judge, and 100 of discs without noise. Each is encoded once at the finer crf of its draw, and once more from
a first encoding at the coarser one. A support vector machine learns the features of the first pictures; the threshold
is that which one in 100 of the films encoded once exceeds, each judged by machines that saw no film of its source.
Takes some twenty minutes.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from sklearn.svm import SVC

from bench_second_encoding import Film, Luma, decode, discs, draw, encode, filmed, halves, scene
from unmask.evidence.comb import MODEL, features_of, luma_of
from unmask.media.quantiser import EXPORT, block_quantisers

FILMS, DRAWN, FRAMES, FIRST_SEED = 800, 100, 48, 20_000
FALSE_SHARE = 0.01
PENALTY = 3.0
"""Of the machine; its width is one over the number of features, as these have a spread of 1."""
SCENES = 20
"""Groups of made films: films of a video are one group."""
Floats = NDArray[np.float64]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--videos", type=Path, required=True, help="folder of videos, at best of talking heads")
    options.add_argument("--keep", type=Path, required=True, help="file for the features; taken where it is there")
    arguments = options.parse_args()
    if not arguments.keep.exists():
        np.savez(arguments.keep, **made(arguments.videos))
    with np.load(arguments.keep) as file:
        model, found = fitted(file["features"], file["twice"], file["group"])
    np.savez_compressed(MODEL, **model)
    print(f"{len(model['vectors'])} vectors; signs in {100 * found:.1f} % of the films encoded twice, of other sources")


def made(folder: Path) -> dict[str, NDArray[np.generic]]:
    """Make the films; return features, whether a film was encoded twice, and its group."""
    videos = halves(folder)["tune"]
    features, twice, groups = [], [], []
    for number in range(FILMS + DRAWN):
        rng = np.random.default_rng(FIRST_SEED + number)
        video = videos[(number // 2) % len(videos)] if number % 2 and number < FILMS else None
        film = draw(rng, FIRST_SEED + number, video)
        if video is None:
            film = replace(film, source=f"{'made' if number < FILMS else 'discs'} {number % SCENES}")
        source = discs(rng) if number >= FILMS else scene(rng) if video is None else filmed(video, rng)
        for is_second, content in enumerate(encoded(film, list(islice(source, FRAMES)))):
            if (found := first_features(content)) is not None:
                features.append(found)
                twice.append(bool(is_second))
                groups.append(film.source)
        print(number, flush=True)
    return {"features": np.array(features), "twice": np.array(twice), "group": np.array(groups)}


def encoded(film: Film, frames: list[Luma]) -> tuple[bytes, bytes]:
    """Return a film encoded once, and twice, the second time more finely."""
    film = replace(film, crf_before=max(film.crf_before, film.crf), crf=min(film.crf_before, film.crf))
    first = decode(encode(frames, film.crf_before, film.gop_before, film.preset_before))
    once, twice = (encode(shown, film.crf, film.gop, film.preset) for shown in (frames, first))
    return once, twice


def first_features(content: bytes) -> Floats | None:
    with av.open(io.BytesIO(content)) as file:
        stream = file.streams.video[0]
        stream.codec_context.options = EXPORT
        frame = next(file.decode(stream))
    quantisers = block_quantisers(frame)
    assert quantisers is not None, "the decoder of H.264 tells them"
    return features_of(luma_of(frame), quantisers)


def fitted(
    features_NF: Floats, twice_N: NDArray[np.bool_], group_N: NDArray[np.str_]
) -> tuple[dict[str, NDArray[np.float16]], float]:
    """Return the machine, and the share of films encoded twice that it finds in sources that it did not see."""
    mean, spread = features_NF.mean(0), features_NF.std(0)
    scaled = (features_NF - mean) / spread
    judged = np.zeros(len(scaled))
    for train, test in GroupKFold(5).split(scaled, groups=group_N):
        judged[test] = machine().fit(scaled[train], twice_N[train]).decision_function(scaled[test])
    threshold = np.sort(judged[~twice_N])[::-1][round(FALSE_SHARE * (~twice_N).sum())]
    whole = machine().fit(scaled, twice_N)
    model = {
        "mean": mean,
        "spread": spread,
        "vectors": whole.support_vectors_,
        "weights": whole.dual_coef_[0],
        "width": np.array(1 / features_NF.shape[1]),
        "bias": whole.intercept_[0],
        "threshold": threshold,
    }
    kept = {name: np.asarray(value, np.float16 if name == "vectors" else np.float32) for name, value in model.items()}
    return kept, float((judged > threshold)[twice_N].mean())


def machine() -> SVC:
    return SVC(C=PENALTY, gamma="auto")


if __name__ == "__main__":
    main()
