"""Record what RobustForensics' own code makes of some frames, into retinaface.npz.

    PYTHON -m tests.faces.record_retinaface REPOSITORY/inference    # commit 344a355, with torch, torchvision, pandas

Its function ``detect_face`` runs with the weights that lie beside it. Of the network's answers those are kept that
reach the score of a candidate; a test gives them to our detector and compares boxes.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

from tests.systems.winner.scenes import scene

RECORDED = Path(__file__).with_name("retinaface.npz")
FRAMES = ("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd", "eeeeeeeeee", "ffffffffff")
"""Scenes of 1280x720, 720x1280, 854x480, 640x360, 855x481 and 1920x1080 pixels."""


def main(folder: Path) -> None:
    import torch

    sys.path.insert(0, str(folder))
    path = folder / "ensemble-align-face2-frame-all-rob-policy-flip.py"
    spec = importlib.util.spec_from_file_location("authors", path)
    assert spec
    assert spec.loader
    authors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(authors)
    authors.pipeline_cfg.cuda = False
    authors.cfg_mnet["pretrain"] = False  # the weights follow
    authors.pipeline_cfg.face_model_path = str(folder / "face_detect_ckpt/mobilenet0.25_Final.pth")
    network, asked = authors.init_face_detecor(), {}

    def ask(image_13HW: torch.Tensor):
        shift, scores, points = answer = network(image_13HW)
        seen = np.flatnonzero(scores[0, :, 1].numpy() > authors.pipeline_cfg.confidence_threshold)
        asked.update(shape=image_13HW.shape[2:], total=float(image_13HW.double().sum()), count=len(shift[0]), seen=seen)
        asked.update(shift=shift[0, seen], scores=scores[0, seen, 1], points=points[0, seen])
        return answer

    authors.pipeline_cfg.net = ask
    recorded = {}
    for name in FRAMES:
        found = authors.detect_face([scene(name)[:, :, ::-1].copy()], {})[0]
        kept = found[found[:, 4] >= authors.pipeline_cfg.vis_thres]
        asked |= {"boxes": kept[:, :4].astype(np.int64), "edges": kept[:, :4]}
        recorded |= {f"{name}_{key}": np.asarray(value) for key, value in asked.items()}
        print(name, kept)
    np.savez_compressed(RECORDED, **recorded)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
