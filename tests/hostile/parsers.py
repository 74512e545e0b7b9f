"""The parsers that are ours, each fed with bytes: what they may raise, and good input to start from."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.evidence.label_files import Content, manifest_store, write, xmp
from tests.hostile.more_parsers import MORE
from tests.hostile.parser import Parser, written
from unmask.datasets.index import READERS, Clip, Index
from unmask.datasets.read import read_index
from unmask.errors import InputError, ModelError, UnmaskError, UsageError
from unmask.evaluation.labels import read_truth
from unmask.evaluation.predictions import read_predictions
from unmask.evidence.labels import MAX_LABELS, find_labels
from unmask.evidence.pieces import find_pieces
from unmask.media.index import index_packets
from unmask.media.tags import Sayings, Tag
from unmask.models.card import bundled_folder, load_card
from unmask.models.checkpoints.checkpoint import read_checkpoint
from unmask.prepare.aligned import TextBoxes
from unmask.prepare.changes import read_changes
from unmask.prepare.layout import FOLDS_HEADER, read_boxes, read_folds
from unmask.storage.rowlog import RowLog
from unmask.types import Verdict


def read_metadata(data: bytes, folder: Path) -> None:
    """All entries are either clips or reported."""
    for name in ("a.mp4", "b.mp4"):
        (folder / name).touch()
    index = read_index(written(data, folder / "metadata.json").parent)
    assert all((folder / clip.path).parent == folder for clip in index.clips)


def metadata(_: Path) -> list[bytes]:
    real, fake = {"label": "REAL", "split": "train"}, {"label": "FAKE", "original": "a.mp4", "split": "train"}
    return [json.dumps(entries).encode() for entries in ({"a.mp4": real, "b.mp4": fake}, {"a.mp4": real})]


def read_listing(data: bytes, folder: Path) -> None:
    (folder / "a.mp4").touch()
    read_index(written(data, folder / "list.csv"))


def tables(_: Path) -> list[bytes]:
    return [b'path,label,original,person,part\na.mp4,0,,x;y,1\n"b,""c",fake,a.mp4,,2\n']


def scores(_: Path) -> list[bytes]:
    return [b"filename,label\r\na.mp4,0.25\r\nb.mp4,\r\n'=c.mp4,1\r\n"]


def indices(folder: Path) -> list[bytes]:
    clips = (Clip("a", "a.mp4", "real"), Clip("b", "b.mp4", "fake", "a", "x", "c23", ("p", "q"), 1, "train"))
    Index(folder, "dfdc", clips).write(folder / "index.parquet")
    return [(folder / "index.parquet").read_bytes()]


def verdicts(_: Path) -> list[bytes]:
    settings = {"hash": "0", "calibration": [{"temperature": 1.0, "offset": 0.0}]}
    verdict = Verdict("a.mp4", "no_face", None, None, ("none",), settings=settings)
    judged = replace(verdict, status="ok", label="real", fake_probability=0.1, models=({"sha256": "0" * 64},))
    return [json.dumps(row.to_dict()).encode() + b"\n" for row in (verdict, judged)]


def read_log(data: bytes, folder: Path) -> None:
    with RowLog(written(data, folder / "log.jsonl"), lambda row: row["path"] if row["status"] == "ok" else None) as log:
        log.append("new", {"path": "new", "status": "ok"})
        assert log.get("new") == {"path": "new", "status": "ok"}


def read_texts(data: bytes, folder: Path) -> None:
    TextBoxes.read(written(data, folder / "frame1.txt").parent)


def read_bench_list(data: bytes, folder: Path) -> None:
    written(data, folder / "list.json")
    READERS["deepfakebench"](folder)


def bench_lists(folder: Path) -> list[bytes]:
    frame = folder / "datasets" / "rgb" / "a" / "frames" / "v" / "000.png"
    frame.parent.mkdir(parents=True, exist_ok=True)
    frame.touch()
    videos = {"v": {"label": "FF-real", "frames": ["./datasets/rgb/a/frames/v/000.png"]}}
    return [json.dumps({"FF-DF": {"FF-real": {"train": {"c23": videos}, "val": {}, "test": videos}}}).encode()]


def read_changes_file(data: bytes, folder: Path) -> None:
    (folder / "changes").mkdir(exist_ok=True)
    written(data, folder / "changes" / "a.json")
    read_changes(folder, "a")


def changes(_: Path) -> list[bytes]:
    return [b'{"0_0": {"changed": "yes", "by": "difference", "level": 90.5, "around": 4.0}}']


def folds(_: Path) -> list[bytes]:
    return [(",".join(FOLDS_HEADER) + "\na,0_0.png,0,a,0,3\nb,10_1.png,1,a,10,3\n").encode()]


_PICKLE = (
    b"\x80\x02}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000"
    b"X\3\0\0\0cpuK\4tQK\0K\2K\2\x86K\2K\1\x86\x89ccollections\nOrderedDict\n)RtRs."
)
"""What ``torch.save`` writes for ``{"w": a tensor of 2 x 2}``, by hand, since these tests need no torch."""


def checkpoints(_: Path) -> list[bytes]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {"data.pkl": _PICKLE, "byteorder": b"little", "data/0": bytes(16)}.items():
            archive.writestr(f"w/{name}", content)
    legacy = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\0\0\0little_endian\x88s."
    legacy += _PICKLE + b"\x80\x02]X\1\0\0\x000a." + (4).to_bytes(8, "little") + bytes(16)
    table = b'{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
    safetensors = len(table).to_bytes(8, "little") + table + bytes(16)
    return [file.getvalue(), legacy, safetensors]


class Packet(bytes):
    """A packet of a container, as far as listing looks at it."""

    def __new__(cls, data: bytes, **facts: Any) -> Packet:
        packet = super().__new__(cls, data)
        packet.__dict__ |= facts
        return packet


def read_packets(data: bytes, _: Path) -> None:
    """Six bytes of facts, then a packet; what FFmpeg makes of a file comes in any order."""
    stream = SimpleNamespace(
        time_base=Fraction(1, 1000),
        average_rate=None,
        guessed_rate=None,
        container=SimpleNamespace(format=SimpleNamespace(name="matroska,webm")),
        codec_context=SimpleNamespace(
            codec=SimpleNamespace(canonical_name="h264"), extradata=data[:5], reorder_depth=len(data) % 3
        ),
    )
    packets = []
    for start in range(5, len(data), 38):
        flags, shift, stamp = data[start], data[start + 1 : start + 2], data[start + 2 : start + 6]
        body = data[start + 6 : start + 38]
        pts = None if flags & 4 else int.from_bytes(stamp, "big", signed=True) << min(32, shift[0] if shift else 0)
        facts = {
            "size": len(body),
            "pts": pts,
            "dts": None if flags & 8 else pts,
            "is_keyframe": bool(flags & 1),
            "is_discard": bool(flags & 2),
        }
        packets.append(Packet(body, duration=flags, pos=start, **facts))
    index = index_packets(packets, stream).frames  # type: ignore[arg-type]
    assert np.isfinite(index.times_seconds).all()
    assert (np.diff(index.times_seconds) > 0).all()
    assert index.end_seconds >= 0


def packets(_: Path) -> list[bytes]:
    unit = b"\0\0\0\6\x65abcde\0\0\0\4\x41abc"
    frames = b"".join(
        bytes([int(number == 0), 0]) + number.to_bytes(4, "big") + unit.ljust(32, b"\0") for number in range(8)
    )
    return [b"\1\0\0\0\3" + frames, b"\0\0\0\0\0" + frames.replace(b"\0\0\0\6", b"\0\0\0\1")]


def read_pieces(data: bytes, folder: Path) -> None:
    """A container of any kind with whatever it holds."""
    with written(data, folder / "a.mp4").open("rb") as file:
        labels = find_labels(Sayings((Tag("file", "aigc", data.decode("latin1")),)), find_pieces(file))
    assert len(labels) <= MAX_LABELS


def labelled(folder: Path) -> list[bytes]:
    contents = [Content({}, c2pa=manifest_store()), Content({}, xmp=xmp('Iptc4xmpExt:DigitalSourceType="print"'))]
    return [
        write(folder / f"a{number}.{suffix}", content).read_bytes()
        for suffix in ("mp4", "avi", "flv")
        for number, content in enumerate(contents)
    ]


PARSERS = {
    "labels": Parser(read_pieces, InputError, labelled),
    "metadata": Parser(read_metadata, UsageError, metadata),
    "listing": Parser(read_listing, UsageError, tables),
    "index": Parser(lambda data, at: read_index(written(data, at / "index.parquet")), UsageError, indices),
    "card": Parser(
        lambda data, at: load_card(written(data, at / "card.json").parent),
        ModelError,
        lambda _: [(bundled_folder() / "card.json").read_bytes()],
    ),
    "predictions": Parser(lambda data, at: read_predictions(written(data, at / "p.csv")), UsageError, scores),
    "verdicts": Parser(lambda data, at: read_predictions(written(data, at / "p.jsonl")), UsageError, verdicts),
    "truth": Parser(lambda data, at: read_truth(written(data, at / "labels.csv")), UsageError, tables),
    "log": Parser(read_log, UsageError, verdicts),
    "boxes": Parser(
        lambda data, at: read_boxes(written(data, at / "boxes.json")),
        UnmaskError,
        lambda _: [b'{"0": [[1, 2.5, 30, 40]], "10": null, "20": [[0, 0, 1, 1], [2, 2, 3, 3]]}'],
    ),
    "texts": Parser(read_texts, UnmaskError, lambda _: [b"2\n10 20 30 40 0.99\n1 2 3 4 0.5\n"]),
    "bench_list": Parser(read_bench_list, UsageError, bench_lists),
    "changes": Parser(read_changes_file, UnmaskError, changes),
    "folds": Parser(lambda data, at: list(read_folds(written(data, at / "folds.csv"))), UsageError, folds),
    "checkpoint": Parser(lambda data, _: read_checkpoint(data), ModelError, checkpoints),
    "packets": Parser(read_packets, InputError, packets),
    **MORE,
}
"""Name -> parser."""
