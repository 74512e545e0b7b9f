"""The parsers of media, labels, side data, lists and run folders; `tests.hostile.parsers` has those of tables."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from av.video.frame import VideoFrame

from tests.evidence.label_files import AIGC, TERM, manifest_store, xmp
from tests.hostile.parser import Parser, written
from tests.media.heic_files import write_tiled_heic
from tests.media_factory import pattern
from unmask.bench.deepsafe import is_matrix, read_matrix
from unmask.compared import Comparison
from unmask.datasets.index import READERS
from unmask.errors import InputError, UnmaskError, UsageError
from unmask.evidence.aigc import read_aigc
from unmask.evidence.c2pa import read_store
from unmask.evidence.cbor import read_cbor
from unmask.evidence.labels import c2pa_label
from unmask.evidence.pieces import find_pieces
from unmask.evidence.xmp import read_xmp
from unmask.media.colours import RgbConverter
from unmask.media.jpegs import is_whole_jpeg
from unmask.media.messages import NONSENSE, StoredImage, index_of, parse, signatures_of
from unmask.media.orientation import orientation_of
from unmask.media.picture_end import ends_early
from unmask.media.pictures import FieldPairs, is_hidden_vp8, kind_reader, split_units
from unmask.media.playlist import read_playlist
from unmask.media.quantiser import block_quantisers, mean_quantiser
from unmask.media.signature import SIGNATURE_SHAPE
from unmask.media.tiles import read_grid
from unmask.media.tones import forget_unknown_tags
from unmask.net.address import check_address, is_address, is_public, percent_encoded, without_password
from unmask.scale.index import Index
from unmask.scale.manifest import Manifest, write_manifest
from unmask.scale.parts import CommitLog, Part, read_commits
from unmask.scale.rows import Answer, Row
from unmask.scale.sources import Sources
from unmask.scan.journal import Journal
from unmask.storage.content import content_of
from unmask.storage.members import Member, list_members
from unmask.storage.outputs import FileForm, Output, check_outputs, is_own_page, json_form, log_form, table_form
from unmask.types import Verdict


def read_picture(data: bytes, folder: Path) -> None:
    """A file that may be a picture of any kind, as the decoder and the search for labels look at it."""
    with written(data, folder / "a.heic").open("rb") as file:
        grid = read_grid(file)
        assert grid is None or len(grid.tiles) == grid.rows * grid.columns
        ends_early(file)
        is_whole_jpeg(file)
        find_pieces(file)


def pictures(folder: Path) -> list[bytes]:
    image = pattern(1, (48, 32))
    small = [cv2.imencode(suffix, image)[1].tobytes() for suffix in (".jpg", ".png", ".webp")]
    return [*small, write_tiled_heic(folder / "tiles.heic", pattern(2, (96, 64))).read_bytes()]


def read_units(data: bytes, _: Path) -> None:
    """Parameter sets of H.264, then a packet: what is read of a bit stream without decoding it."""
    cut = data[0] if data else 0
    extradata, packet = data[1 : 1 + cut], data[1 + cut :]
    try:
        fields = FieldPairs(extradata)
    except IndexError:  # that of a container's parameter sets; `index_packets` takes it for a damaged header
        return
    for _again in range(2):
        fields.is_second(packet)
    assert isinstance(fields.may_occur, bool)
    is_hidden_vp8(packet)
    split_units(packet, 4)
    for codec in ("mpeg2video", "mpeg4", "prores", "h264"):
        if (kind := kind_reader(codec)) is not None:
            assert kind(packet) in ("I", "P", "B", None)


SPS = bytes.fromhex("6764001fac2ca05005bb016a02020280000003008000001e478c18cb")


def units(_: Path) -> list[bytes]:
    box = b"\1\x64\0\x1f\xff\xe1" + len(SPS).to_bytes(2, "big") + SPS + b"\1\0\4\x68\xee\x3c\x80"
    slices = b"\0\0\1" + SPS + b"\0\0\1\x65\x88\x84\0\x33" + b"\0\0\1\x41\x9a\x21\x6c"
    mpeg = b"\0\0\1\0\0\x0f\xff\xf8" + b"\0\0\1\xb6\x50\x60"
    return [bytes([len(box)]) + box + b"\0\0\0\4\x65\x88\x84\0", b"\0" + slices, b"\0" + mpeg]


def read_side_data(data: bytes, _: Path) -> None:
    """What a frame says of itself: a matrix of display, and the quantisers of its blocks."""
    for name in ("DISPLAYMATRIX", "VIDEO_ENC_PARAMS"):
        frame = SimpleNamespace(side_data={name: bytearray(data)}, width=64, height=48)
        orientation_of(frame)
        mean = mean_quantiser(frame)
        assert mean is None or 0 <= mean <= 1
        blocks = block_quantisers(frame)
        assert blocks is None or (blocks.min() >= 0 and blocks.max() <= 51)


def side_data(_: Path) -> list[bytes]:
    matrix = np.array([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30], np.int32).tobytes()
    header = b"".join(number.to_bytes(8, "little") for number in (2, 64, 20)) + (1).to_bytes(4, "little")
    blocks = np.arange(10, dtype=np.int32).tobytes()
    return [matrix, header + (26).to_bytes(4, "little") + bytes(32) + blocks]


FORMATS = ("yuv420p", "yuvj420p", "yuv444p10le", "rgb24", "gray", "nv12", "yuv420p10le", "gbrp", "yuva420p")


def read_colours(data: bytes, _: Path) -> None:
    """A small frame with any colour tags, as the field VUI of a bit stream can give it."""
    fields = data.ljust(8, b"\0")
    frame = VideoFrame(2 + fields[6] % 15, 2 + fields[7] % 15, FORMATS[fields[0] % len(FORMATS)])
    frame.colorspace, frame.color_range = fields[1], fields[2] % 4
    frame.color_primaries, frame.color_trc = fields[3], fields[4]
    forget_unknown_tags(frame)
    colours = "tagged" if fields[5] % 2 else "opencv"
    image_HW3 = RgbConverter(colours).convert(frame)
    assert image_HW3.shape == (frame.height, frame.width, 3)


def read_answer(data: bytes, _: Path) -> None:
    """What comes from a decoder that a file may have taken over."""
    kind, message = data[:1], data[1:]
    if kind == b"i":
        StoredImage.from_json(parse(message))
    elif kind == b"s":
        size = 8 * (message[0] if message else 0)
        signatures_of(message[1 : 1 + size], message[1 + size :], 100)
    elif kind == b"x":
        head, _, rest = message.partition(b"\n")
        size = len(rest) // 4 // 8 * 8
        index = index_of([rest[at * size : (at + 1) * size] for at in range(4)], parse(head))
        assert (np.diff(index.times_seconds) > 0).all()
    else:
        parse(message)


def answers(_: Path) -> list[bytes]:
    scalars = json.dumps({"stamped": True, "end_seconds": 1.5, "packets": 2, "size_bytes": 99}).encode()
    arrays = (np.array([0.0, 0.5]), np.array([0, 1]), np.array([0, 1]), np.array([0, 1]))
    signatures = np.arange(2).tobytes() + bytes(2 * int(np.prod(SIGNATURE_SHAPE)))
    return [
        b'i{"index": 1, "height": 2, "width": 3, "quantiser": 0.5}',
        b"x" + scalars + b"\n" + b"".join(array.tobytes() for array in arrays),
        b"s\2" + signatures,
        b'j{"done": true}',
    ]


def read_label(data: bytes, _: Path) -> None:
    """Each scheme of labels by itself, without the container around it."""
    read_xmp(data)
    fields = read_aigc(data.decode("latin1"))
    assert fields is None or all(isinstance(value, str) for value in fields.values())
    c2pa_label(read_store(data), "c2pa")


def read_list(data: bytes, folder: Path) -> None:
    (folder / "b.m3u8").write_bytes(b"#EXTM3U\na.ts\n")
    read_playlist(written(data, folder / "a.m3u8"))


def playlists(_: Path) -> list[bytes]:
    plain = b"#EXTM3U\n#EXT-X-BYTERANGE:75@0\n#EXTINF:4,\na.ts\n#EXT-X-BYTERANGE:80\na.ts\n"
    mapped = b'#EXTM3U\n#EXT-X-MAP:URI="h.mp4",BYTERANGE="30@2"\n#EXTINF:4,\nb%20c.m4s\nd/e.m4s\n'
    variants = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=5000\nb.m3u8\n"
    return [plain, mapped, variants, b"#EXTM3U\n#EXT-X-KEY:METHOD=NONE\na.ts\n"]


def read_tar(data: bytes, _: Path) -> None:
    for member in list_members(io.BytesIO(data), "a.tar"):
        assert Member.parse(member.address) == member


def tars(_: Path) -> list[bytes]:
    found = []
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name in ("a.mp4", "b/" + "c" * 120 + ".mp4"):
                info = tarfile.TarInfo(name)
                info.size = 5
                archive.addfile(info, io.BytesIO(b"12345"))
        found.append(file.getvalue()[:5120])
    return found


def read_address(data: bytes, _: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    Member.parse(text)
    without_password(text)
    if is_address(text):
        with contextlib.suppress(UsageError):
            check_address(text)
            percent_encoded(text)


def read_output(data: bytes, folder: Path) -> None:
    """A file that lies where an output is to go: whose is it?"""
    forms = (
        FileForm("the table", table_form(("path", "score"), ("score",)), "a.csv"),
        FileForm("the JSON", json_form("path", "status"), "a.json"),
        FileForm("the log", log_form(("path",), ("part",)), "a.jsonl"),
        FileForm("the page", is_own_page, "a.html"),
    )
    content_of(data)
    for number, form in enumerate(forms):
        try:
            check_outputs([Output("--out", written(data, folder / f"{number}.out"), form)])
        except UsageError:
            continue


def read_journal(data: bytes, folder: Path) -> None:
    with Journal(written(data, folder / "a.jsonl"), "h", resume=True) as journal:
        journal.reuse("b.mp4", "0" * 64)


def journals(_: Path) -> list[bytes]:
    verdict = Verdict("a.mp4", "no_face", None, None, ("none",), settings={"hash": "h"}).to_dict()
    verdict["media"] = {"size_bytes": 5, "sha256": "0" * 64}
    return [json.dumps(verdict, separators=(",", ":")).encode() + b"\n"]


def read_run(data: bytes, folder: Path) -> None:
    """A part, and a log of commits, of a run at scale."""
    for place in ("parts/1-of-1", "commits"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    written(data, folder / "parts" / "1-of-1" / "0-0.jsonl")
    written(data, folder / "commits" / "other.jsonl")
    (folder / "commits" / "1-of-1.jsonl").unlink(missing_ok=True)
    index = Index("h")
    with CommitLog(folder, "1-of-1", index):
        pass
    read_commits(folder, index)
    index.sealed()


def commits(folder: Path) -> list[bytes]:
    part = Part(folder, "0-0.jsonl", "h")
    part.add(Row("a.mp4", "a.mp4"), Answer("0" * 64, "ok", b'{"path":"a.mp4"}'))
    part.add(Row("b.mp4", "b.mp4", 5, "x"), Answer("1" * 64, "no_face", b'{"path":"b.mp4"}'))
    part.write()
    lines = (folder / "0-0.jsonl").read_bytes()
    return [lines, lines.splitlines(keepends=True)[0]]


def read_manifest(data: bytes, folder: Path) -> None:
    list(Manifest(written(data, folder / "m.parquet")).rows())


def manifests(folder: Path) -> list[bytes]:
    write_manifest([Row("a.mp4", "a.mp4", 5, "x"), Row("b\udcff.mp4", "b", None, note="n")], folder / "m.parquet")
    return [(folder / "m.parquet").read_bytes()]


def read_sources(data: bytes, folder: Path) -> None:
    names = [str(written(data, folder / name)) for name in ("a.csv", "a.lst")]
    for name in names:
        list(Sources([name]).rows())


LISTS = {
    "celeb_df": ("Celeb-real/id0_0000.mp4", "List_of_testing_videos.txt", b"1 Celeb-real/id0_0000.mp4\n0 x/y.mp4\n"),
    "deeperforensics": (
        "manipulated_videos/end_to_end/000_M101.mp4",
        "lists/splits/train.txt",
        b"000_M101.mp4\n001_M102.mp4\n",
    ),
    "faceforensics": ("original_sequences/youtube/c23/videos/071.mp4", "train.json", b'[["071", "054"], ["1", "2"]]'),
    "dfdc_preview": (
        "original_videos/a.mp4",
        "dataset.json",
        b'{"original_videos/a.mp4":{"label":"real","set":"train"}}',
    ),
    "fake_av_celeb": (
        "RealVideo-RealAudio/Asian/men/id1/a.mp4",
        "meta_data.csv",
        b"source,target1,method,category,type,race,gender,path,x\nid1,-,real,A,RealVideo-RealAudio,Asian,men,a.mp4,b\n",
    ),
    "deepfake_eval_2024": (
        "video-data/a.mp4",
        "video-metadata-publish.csv",
        b"Filename,Video Ground Truth,Audio Ground Truth,Finetuning Set\na.mp4,Real,Fake,Train\n",
    ),
    "lav_df": (
        "test/a.mp4",
        "metadata.json",
        b'[{"file":"test/a.mp4","modify_video":false,"modify_audio":true,"split":"test","original":null}]',
    ),
}
"""Dataset -> a clip of it, its list, and what the list holds."""


def list_reader(dataset: str) -> Parser:
    clip, name, content = LISTS[dataset]

    def read(data: bytes, folder: Path) -> None:
        for path in (clip, name):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / clip).touch()
        written(data, folder / name)
        READERS[dataset](folder)

    return Parser(read, UsageError, lambda _: [content])


def read_matrix_file(data: bytes, folder: Path) -> None:
    for name in ("a.csv", "a.json"):
        if is_matrix(path := written(data, folder / name)):
            read_matrix(path)


def matrices(_: Path) -> list[bytes]:
    head = b"id,modality,label,generator,prob_a,ensemble_mean\n"
    row = {"id": "a", "modality": "video", "label": "real", "generator": "x", "prob_a": 0.5}
    return [head + b"a,video,real,x,0.25,\nb,images,fake,y,,0.5\n", json.dumps([row]).encode()]


def read_values(data: bytes, _: Path) -> None:
    """Values that are read back into a verdict or a comparison."""
    values = json.loads(data)
    if isinstance(values, dict):
        for kind in (Verdict, Comparison):
            try:
                kind.from_dict(values)
            except UsageError:
                continue


def values(_: Path) -> list[bytes]:
    verdict = Verdict("a.mp4", "no_face", None, None, ("none",), settings={"hash": "h"}).to_dict()
    return [json.dumps(verdict).encode()]


MORE: dict[str, Parser] = {
    "picture": Parser(read_picture, InputError, pictures),
    "units": Parser(read_units, InputError, units),
    "side_data": Parser(read_side_data, InputError, side_data),
    "colours": Parser(read_colours, InputError, lambda _: [bytes(8), bytes([6, 9, 1, 9, 16, 1, 4, 5])]),
    "answer": Parser(read_answer, NONSENSE, answers),
    "label": Parser(read_label, (), lambda _: [manifest_store(), xmp(f'a:DigitalSourceType="{TERM}"'), AIGC.encode()]),
    "cbor": Parser(
        lambda data, _: read_cbor(data), ValueError, lambda _: [bytes.fromhex("a26161f93c0061628301d818412abf6163f5ff")]
    ),
    "playlist": Parser(read_list, InputError, playlists),
    "tar": Parser(read_tar, UsageError, tars),
    "address": Parser(
        read_address,
        UnmaskError,
        lambda _: [b"https://user:pass@[::1]:8443/a%20b?c#d", b"tar://512+5/b%253A::a.tar", b"s3://bucket/key"],
    ),
    "ip": Parser(
        lambda data, _: is_public(data.decode("latin1")), ValueError, lambda _: [b"127.0.0.1", b"::ffff:10.0.0.1"]
    ),
    "output": Parser(
        read_output,
        UsageError,
        lambda _: [b"path,score\na,0.5\n", b'{"path":"a","status":"ok"}\n{"path":"b","status":"ok"}\n'],
    ),
    "journal": Parser(read_journal, UsageError, journals),
    "run": Parser(read_run, UsageError, commits),
    "manifest": Parser(read_manifest, UsageError, manifests),
    "sources": Parser(read_sources, UsageError, lambda _: [b"path,label\na.mp4,1\nhttps://h/b.mp4,0\n"]),
    "matrix": Parser(read_matrix_file, UsageError, matrices),
    "values": Parser(read_values, (ValueError, RecursionError), values),
    **{name: list_reader(name) for name in LISTS},
}
"""Name -> parser."""
