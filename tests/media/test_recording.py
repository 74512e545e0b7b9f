"""A recording in pieces is one clip: HLS play lists and folders of pieces, and what hostile ones get."""

import io
import shutil
from contextlib import nullcontext
from dataclasses import replace

import av
import numpy as np
import pytest

from tests.media_factory import number_of, pattern, write_video
from unmask.errors import ChangedError, LimitError, UnreadableError, UnsupportedError
from unmask.evidence.labels import labels_of, read_labels
from unmask.media import Limits, SignatureLog, is_playlist, open_pieces_folder, open_playlist, read_frames
from unmask.media.playlist import MAX_LIST_BYTES, Part, Piece, read_playlist

LIMITS = Limits(isolate=False)
FRAMES, EACH = 30, 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    options = {"sc_threshold": "0", "preset": "ultrafast"}
    images = [pattern(number) for number in range(FRAMES)]
    path = tmp_path_factory.mktemp("whole") / "a.mp4"
    return write_video(path, images, rate=25, options=options, gop=EACH, metadata={"software": "CapCut 3"})


def remux(whole, target, form, options):
    """Copy a film without encoding."""
    with av.open(str(whole)) as source, av.open(str(target), "w", format=form, options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


@pytest.fixture(scope="module", params=["mpegts", "fmp4"])
def hls(request, whole, tmp_path_factory):
    """A folder with list.m3u8 and three pieces."""
    folder = tmp_path_factory.mktemp(request.param)
    kinds = {"hls_segment_type": request.param, "hls_time": "0.4", "hls_list_size": "0", "hls_playlist_type": "vod"}
    remux(whole, folder / "list.m3u8", "hls", kinds)
    assert len(read_playlist(folder / "list.m3u8")) == FRAMES // EACH
    return folder


@pytest.fixture(scope="module")
def numbered(whole, tmp_path_factory):
    """What ``ffmpeg -f segment`` writes: films of their own."""
    folder = tmp_path_factory.mktemp("numbered")
    remux(whole, folder / "piece%d.mp4", "segment", {"segment_time": "0.4", "reset_timestamps": "1"})
    for number in (2, 1, 0):  # 10 comes after 9, not after 1
        (folder / f"piece{number}.mp4").rename(folder / f"piece{number + 8}.mp4")
    return folder


def check_frames(video, missing=()):
    wanted = [number for number in range(FRAMES) if number // EACH not in missing]
    assert len(video.index) == video.facts.frames == len(wanted)
    picked = np.array([0, 3, 9, 10, 11, len(wanted) - 1])
    frames = list(read_frames(video, picked))
    assert [frame.index for frame in frames] == picked.tolist()
    assert [number_of(frame.image_HW3) for frame in frames] == [wanted[index] for index in picked]
    assert [frame.time_seconds for frame in frames] == pytest.approx(video.index.times_seconds[picked].tolist())


def test_a_play_list_is_one_clip(hls):
    assert is_playlist(hls / "list.m3u8")
    with open_playlist(hls / "list.m3u8", LIMITS, readers=[read_labels]) as video:
        check_frames(video)
        assert video.index.times_seconds == pytest.approx(np.arange(FRAMES) / 25, abs=0.01)
        assert (video.facts.pieces, video.facts.missing_pieces, video.facts.cut_short) == (3, 0, False)
        assert video.facts.container.startswith("recording in 3 pieces (")
        assert video.facts.duration_seconds == pytest.approx(FRAMES / 25, abs=0.05)


def test_it_is_the_same_in_confined_processes(hls):
    with open_playlist(hls / "list.m3u8", Limits()) as video:
        check_frames(video)


def test_numbered_pieces_are_in_order_and_tell_what_they_declare(numbered):
    log = SignatureLog()
    with open_pieces_folder(numbered, LIMITS, readers=[read_labels]) as video:
        check_frames(video)
        list(read_frames(video, np.arange(FRAMES), log))
        assert log.arrays()[0].tolist() == list(range(FRAMES))
        assert video.index.key_frames.tolist() == [0, 10, 20]
        assert {label.scheme for label in labels_of(video)} <= {"program"}


def test_a_folder_of_fragments_takes_their_header(hls):
    with open_pieces_folder(hls, LIMITS) as video:
        check_frames(video)


@pytest.mark.parametrize("how", ["gone", "noise", "cut"])
def test_a_piece_that_cannot_be_read_is_left_out(hls, tmp_path, how):
    folder = shutil.copytree(hls, tmp_path / "a")
    piece = folder / read_playlist(hls / "list.m3u8")[1].body.path.rpartition("/")[2]
    content = piece.read_bytes()
    piece.unlink()
    if how != "gone":
        piece.write_bytes(content[:100] if how == "cut" else b"noise" * 1000)
    with open_playlist(folder / "list.m3u8", LIMITS) as video:
        check_frames(video, missing=[1])
        assert (video.facts.pieces, video.facts.missing_pieces, video.facts.cut_short) == (3, 1, True)


def test_ranges_of_one_file_and_the_best_quality(hls, tmp_path):
    pieces = read_playlist(hls / "list.m3u8")
    head = b"" if pieces[0].head is None else (hls / pieces[0].head.path).read_bytes()
    content, lines = io.BytesIO(), ["#EXTM3U"]
    content.write(head)
    if head:
        lines.append(f'#EXT-X-MAP:URI="all.bin",BYTERANGE="{len(head)}@0"')
    for number, piece in enumerate(pieces):
        body = (hls / piece.body.path).read_bytes()
        at = f"@{len(head)}" if number == 0 else ""
        lines += ["#EXTINF:0.4,", f"#EXT-X-BYTERANGE:{len(body)}{at}", "all.bin"]
        content.write(body)
    (tmp_path / "all.bin").write_bytes(content.getvalue())
    (tmp_path / "best.m3u8").write_text("\n".join(lines))
    master = (
        '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=10\nnone.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=90,CODECS="a,b"\nbest.m3u8\n'
    )
    (tmp_path / "master.m3u8").write_text(master)
    with open_playlist(tmp_path / "master.m3u8", LIMITS) as video:
        check_frames(video)


OUTSIDE = (
    "https://a.example/x.ts", "http://127.0.0.1/x.ts", "file:///etc/passwd", "/etc/passwd", "../a.ts", "b/../../a.ts",
    "%2e%2e/a.ts", "%2Fetc%2Fpasswd", "C:\\a.ts", "\\\\host\\a.ts", "//host/a.ts", "data:,x", "concat:a.ts|b.ts",
    "a\0.ts",
)  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("line", ["{}", '#EXT-X-MAP:URI="{}"\na.ts', "#EXT-X-STREAM-INF:BANDWIDTH=1\n{}"])
def test_a_list_that_leads_out_of_its_folder_is_refused_before_anything_is_opened(tmp_path, name, line):
    (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n{line.format(name)}\n")
    with pytest.raises(UnreadableError, match="do not lie in its folder"):
        read_playlist(tmp_path / "a.m3u8")


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("", UnreadableError, "empty"), ("#EXTM3V\na.ts", UnreadableError, "EXTM3U"),
        ("#EXTM3U\n", UnreadableError, "no piece"), ("#EXTM3U\na.ts\na.ts", UnreadableError, "twice"),
        ("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\na.ts", UnsupportedError, "encrypted"),
        ("#EXTM3U\n#EXT-X-BYTERANGE:9@-1\na.ts", UnreadableError, "range"),
        ("#EXTM3U\n#EXT-X-BYTERANGE:" + "9" * 5000 + "\na.ts", UnreadableError, "range"),
        ("#EXTM3U\n" + "\n".join(f"{i}.ts" for i in range(10_001)), LimitError, "10000 pieces"),
        ("#EXTM3U\n" + "#" * MAX_LIST_BYTES, LimitError, "4 MB"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8", UnreadableError, "names another one"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nnone.m3u8", UnreadableError, "cannot open"),
    ],
)  # fmt: skip
def test_hostile_lists(tmp_path, text, error, why):
    (tmp_path / "a.m3u8").write_text(text)
    with pytest.raises(error, match=why):
        read_playlist(tmp_path / "a.m3u8")


def test_links_and_folders_are_no_pieces(numbered, tmp_path):
    (tmp_path / "out.ts").write_bytes(next(numbered.iterdir()).read_bytes())
    folder = tmp_path / "list"
    folder.mkdir()
    (folder / "link.ts").symlink_to(tmp_path / "out.ts")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "empty").mkdir()
    for name in ("link.ts", "linked/out.ts", "empty", "a.m3u8"):
        (folder / "a.m3u8").write_text(f"#EXTM3U\n{name}\n")
        with pytest.raises(UnreadableError), open_playlist(folder / "a.m3u8", LIMITS):
            pass
    with pytest.raises(UnreadableError), open_pieces_folder(folder / "empty", LIMITS):
        pass
    with pytest.raises(UnreadableError), open_pieces_folder(folder, LIMITS):
        pass
    with open_pieces_folder(folder, LIMITS, follow_links=True) as video:
        assert len(video.index) == EACH


def test_all_pieces_together_are_bounded_and_must_not_change(numbered, tmp_path):
    size = sum(path.stat().st_size for path in numbered.iterdir())
    with pytest.raises(LimitError), open_pieces_folder(numbered, Limits(isolate=False, file_bytes=size - 1)):
        pass
    folder = shutil.copytree(numbered, tmp_path / "a")
    with open_pieces_folder(folder, LIMITS) as video:
        with (folder / "piece9.mp4").open("ab") as file:
            file.write(b"\0\0\0\x08free")
        with pytest.raises(ChangedError):
            list(read_frames(video, np.arange(FRAMES)))


def test_a_folder_that_is_not_there_and_too_many_pieces(numbered, monkeypatch, tmp_path):
    with pytest.raises(UnreadableError, match="cannot open the folder of pieces: No such file"):
        open_pieces_folder(tmp_path / "missing", LIMITS).__enter__()
    monkeypatch.setattr("unmask.media.recording.MAX_PIECES", 2)
    with pytest.raises(LimitError, match="has 3 pieces; at most 2 are read"):
        open_pieces_folder(numbered, LIMITS).__enter__()


def test_the_pieces_have_a_length_together(numbered):
    sizes = [path.stat().st_size for path in numbered.iterdir()]
    with open_pieces_folder(numbered, replace(LIMITS, file_bytes=sum(sizes))) as video:
        assert video.facts.size_bytes == sum(sizes)
    with pytest.raises(LimitError, match="more bytes together than are read, see --limits file="):
        open_pieces_folder(numbered, replace(LIMITS, file_bytes=sum(sizes) - 1)).__enter__()


def test_the_times_of_pieces_follow_one_another(numbered):
    with open_pieces_folder(numbered, LIMITS) as video:
        frames = list(read_frames(video, np.arange(len(video.index))))
        index = video.index
    assert [frame.time_seconds for frame in frames] == index.times_seconds.tolist()
    assert np.diff(index.times_seconds) == pytest.approx(1 / 25, abs=2e-3)
    assert index.key_packets.tolist() == index.key_frames.tolist() == [0, 10, 20]
    assert (index.packets, index.stamped) == (FRAMES, True)
    assert index.end_seconds == video.facts.duration_seconds == pytest.approx(FRAMES / 25, abs=0.01)
    assert video.facts.bit_rate == round(8 * index.size_bytes / index.end_seconds)


def test_a_quality_whose_number_makes_no_sense_is_the_last_choice(tmp_path):
    lists = {"a": "9" * 15, "b": "9" * 16, "c": "-5", "d": "", "e": "9" * 15}
    master = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH={number}\n{name}.m3u8\n" for name, number in lists.items())
    (tmp_path / "master.m3u8").write_text(f"#EXTM3U\n#EXT-X-VERSION:3\n{master}")
    for name in lists:
        (tmp_path / f"{name}.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{name}.ts\n")
    (piece,) = read_playlist(tmp_path / "master.m3u8")
    assert piece.body.path == str(tmp_path / "e.m3u8").replace("m3u8", "ts")
    (tmp_path / "one.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:PROGRAM-ID=1\nb.m3u8\n")
    assert read_playlist(tmp_path / "one.m3u8")[0].body.path.endswith("b.ts")


def test_ranges_follow_one_another_within_each_file(tmp_path):
    text = """#EXTM3U
#EXT-X-MAP:URI="head.mp4",BYTERANGE="7@3"
#EXT-X-BYTERANGE:10@5
a.ts
#EXT-X-BYTERANGE: 20
a.ts
#EXT-X-BYTERANGE:4
b.ts
#EXT-X-MAP:URI="other.mp4"
#EXT-X-KEY:METHOD=NONE
a%20b.ts
"""
    (tmp_path / "list.m3u8").write_text(text)
    head, other = Part(str(tmp_path / "head.mp4"), 3, 7), Part(str(tmp_path / "other.mp4"))
    assert read_playlist(tmp_path / "list.m3u8") == [
        Piece(Part(str(tmp_path / "a.ts"), 5, 10), head),
        Piece(Part(str(tmp_path / "a.ts"), 15, 20), head),
        Piece(Part(str(tmp_path / "b.ts"), 0, 4), head),
        Piece(Part(str(tmp_path / "a b.ts")), other),
    ]


@pytest.mark.parametrize(
    ("span", "fits"), [("0", False), ("{whole}@0", True), ("{whole}@1", False), ("1@{whole}", False)]
)
def test_a_range_lies_within_its_file(numbered, tmp_path, span, fits):
    content = (numbered / "piece8.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content)
    text = f"#EXTM3U\n#EXT-X-BYTERANGE:{span.format(whole=len(content))}\na.mp4\n"
    (tmp_path / "list.m3u8").write_text(text)
    with (
        nullcontext() if fits else pytest.raises(UnreadableError, match="beyond the end of its file"),
        open_playlist(tmp_path / "list.m3u8", LIMITS) as video,
    ):
        assert len(video.index) == EACH
