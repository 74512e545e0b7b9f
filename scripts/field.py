"""Make recordings as they are found in the field, scan them all, and print one table.

    python scripts/field.py                  # makes everything in a temporary folder
    python scripts/field.py --keep DIR       # leaves it there
    python scripts/field.py --only joined    # cases whose name has this in it
    python scripts/field.py --scan           # also scans each file, and shows the status of its row

Each case says how many frames it shows; a row is wrong when another number is read, when they are out of order, when
something whole is called cut short, or when unmask fails. The media show patterns that tell their number. Exit code 1
when a row is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' makers of media

from tests.media.fields import write_fields
from tests.media.odd import encoded, write_exif_film, write_interlaced, write_joined, write_packed, write_tracks
from tests.media_factory import number_of, pattern, write_sound, write_video

from unmask import Scanner
from unmask.errors import InputError
from unmask.media import open_video, read_frames

Make = Callable[[Path], Path]
FIRST, SECOND = list(range(20)), list(range(1000, 1015))
MPEG2 = {"codec": "mpeg2video", "options": {"bf": "2"}}


@dataclass(frozen=True, slots=True)
class Case:
    """One recording."""

    name: str
    """Name of the file, and what is odd about it."""
    make: Make
    """Writes it."""
    numbers: Sequence[int] | None = None
    """Patterns that it shows; None where only their count, or the refusal, matters."""
    frames: int | None = None
    """How many frames it has; None where it is refused."""


def film(codec: str, pixel_format: str = "yuv420p", size: tuple[int, int] = (160, 96), **how: object) -> Make:
    """Return what writes twenty patterns with a codec."""
    images = [pattern(number, size) for number in FIRST]
    return lambda path: write_video(path, images, codec=codec, pixel_format=pixel_format, **how)


def joined(pieces: Sequence[tuple[Sequence[int], float]], **how: object) -> Make:
    """Return what joins streams."""
    return lambda path: write_joined(path, pieces, **how)


def pictures(path: Path) -> Path:
    """Write JPEG pictures one after the other."""
    path.write_bytes(b"".join(bytes(packet) for packet in encoded(FIRST, "mjpeg")))
    return path


def multipart(path: Path) -> Path:
    """Write JPEG pictures as a camera sends them to a browser."""
    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    parts = [bytes(packet) for packet in encoded(FIRST, "mjpeg")]
    path.write_bytes(b"".join(head % len(part) + part + b"\r\n" for part in parts))
    return path


def tracks(*described: tuple[str, tuple[int, int], Sequence[int]]) -> Make:
    """Return what writes a file with several picture tracks."""
    return lambda path: write_tracks(path, described)


def written(content: bytes) -> Make:
    """Return what writes bytes."""

    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


MOMENTS = [pattern(number, (160, 96)) for number in range(24)]
SMALL = (64, 48)

CASES = (
    # 1. time stamps
    Case("joined.ts: starts anew", joined([(FIRST, 0), (SECOND, 0)]), FIRST + SECOND, 35),
    Case("joined_jump.ts: jumps ahead", joined([(FIRST, 0), (SECOND, 7000)]), FIRST + SECOND, 35),
    Case("joined_back.ts: runs backwards", joined([(FIRST, 300), (SECOND, 90)]), FIRST + SECOND, 35),
    Case("joined_wrap.ts: wraps", joined([(FIRST, 95443.4), (SECOND, 0)]), FIRST + SECOND, 35),
    Case("joined_overlap.ts: overlaps", joined([(FIRST, 0), (SECOND, 0.3)]), FIRST + SECOND, 35),
    Case("joined_mpeg2.ts: MPEG-2", joined([(FIRST, 0), (SECOND, 0)], **MPEG2), FIRST + SECOND, 35),
    Case("joined.mpg: program stream", joined([(FIRST, 0), (SECOND, 0)], **MPEG2), FIRST + SECOND, 35),
    Case("joined.h264: no stamps", joined([(FIRST, 0), (SECOND, 0)], form="h264"), FIRST + SECOND, 35),
    Case("packed.avi: DivX", lambda path: write_packed(path, FIRST), FIRST, 20),
    Case("hidden.webm: VP8 alternate references", film("libvpx", options={"auto-alt-ref": "1"}), FIRST, 20),
    # 2. side data
    Case("exif.mkv: EXIF", lambda path: write_exif_film(path, FIRST), FIRST, 20),
    Case("exif.avi: EXIF", lambda path: write_exif_film(path, FIRST), FIRST, 20),
    Case("exif_turned.mov: EXIF, on its head", lambda path: write_exif_film(path, FIRST, 3), None, 20),
    # 3. tracks
    Case("picture.wmv: a picture first", tracks(("mjpeg", (160, 96), [9]), ("wmv2", (160, 96), FIRST)), FIRST, 20),
    Case("preview.mp4: a preview first", tracks(("libx264", SMALL, SECOND), ("libx264", (160, 96), FIRST)), FIRST, 20),
    Case("two.ts: two programmes", tracks(("libx264", (160, 96), FIRST), ("libx264", (128, 80), SECOND)), FIRST, 20),
    Case("two.mkv: two cameras", tracks(("libx264", (160, 96), FIRST), ("libx264", (128, 80), SECOND)), FIRST, 20),
    # 4. fields and light
    Case("fields.ts: PAFF", lambda path: write_fields(path, MOMENTS), list(range(0, 24, 2)), 12),
    Case("fields.mp4: PAFF", lambda path: write_fields(path, MOMENTS), list(range(0, 24, 2)), 12),
    Case("woven.ts: interlaced MPEG-2",
         lambda path: write_interlaced(path, MOMENTS, "mpeg2video", {"flags": "+ildct+ilme"}), None, 12),
    Case("woven.mp4: interlaced H.264",
         lambda path: write_interlaced(path, MOMENTS, "libx264", {"x264-params": "tff=1"}), None, 12),
    Case("deep.mkv: 10 bits", film("libx265", "yuv420p10le", options={"x265-params": "log-level=none"}), FIRST, 20),
    # 7. raw streams
    Case("raw.mjpeg", pictures, FIRST, 20),
    Case("raw.mjpg: multipart", multipart, FIRST, 20),
    Case("raw.y4m", film("rawvideo"), FIRST, 20),
    Case("raw.dv", film("dvvideo", "yuv420p", (720, 576), rate=25), FIRST, 20),
    Case("raw.h264", film("libx264"), FIRST, 20),
    Case("raw.hevc", film("libx265", options={"x265-params": "log-level=none"}), FIRST, 20),
    # Formats that nobody named
    Case("other.mov: ProRes", film("prores_ks", "yuv422p10le"), FIRST, 20),
    Case("other_dnx.mov: DNxHR", film("dnxhd", "yuv422p", (256, 128), options={"profile": "dnxhr_hq"}), FIRST, 20),
    Case("other_cineform.mov: CineForm", film("cfhd", "yuv422p10le"), FIRST, 20),
    Case("other_animation.mov: QuickTime Animation", film("qtrle", "rgb24"), FIRST, 20),
    Case("other_png.mov: PNG", film("png", "rgb24"), FIRST, 20),
    Case("other_v210.mov: 10 bits, not compressed", film("v210", "yuv422p10le"), FIRST, 20),
    Case("other_huffyuv.avi: HuffYUV", film("huffyuv", "yuv422p"), FIRST, 20),
    Case("other_utvideo.avi: Ut Video", film("utvideo", "yuv422p"), FIRST, 20),
    Case("other_msmpeg4.avi: DivX 3", film("msmpeg4"), FIRST, 20),
    Case("other_ffv1.mkv: FFV1", film("ffv1"), FIRST, 20),
    Case("other_av1.mkv: AV1", film("libsvtav1", options={"preset": "12", "crf": "12"}), FIRST, 20),
    Case("other_av1.mp4: AV1", film("libsvtav1", options={"preset": "12", "crf": "12"}), FIRST, 20),
    Case("other_vp9.mp4: VP9", film("libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}), FIRST, 20),
    Case("other_vp8.ivf: VP8", film("libvpx"), FIRST, 20),
    Case("other.flv: Sorenson", film("flv"), FIRST, 20),
    Case("other.3gp: H.263", film("h263", size=(176, 144)), FIRST, 20),
    Case("other_wmv1.asf: WMV 7", film("wmv1"), FIRST, 20),
    Case("other.mxf: MPEG-2", film("mpeg2video", rate=25), FIRST, 20),
    Case("other.nut: MPEG-4", film("mpeg4"), FIRST, 20),
    Case("other.gif", film("gif", "rgb8", rate=25), None, 20),
    Case("other.m2v: MPEG-2", film("mpeg2video", rate=25), FIRST, 20),
    Case("other_jpeg2000.mov", film("jpeg2000", "rgb24"), FIRST, 20),
    Case("other_444.mp4: H.264 in 4:4:4", film("libx264", "yuv444p"), FIRST, 20),
    Case("other_rgb.mkv: H.264 in RGB", film("libx264rgb", "rgb24"), FIRST, 20),
    # What is refused in words
    Case("sound.mp4", write_sound),
    Case("snow.nut: a codec outside the list", film("snow", options={"strict": "-2"})),
    Case("page.mp4: a web page", written(b"<!DOCTYPE html><html><body>404</body></html>")),
    Case("pointer.mp4: Git LFS", written(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")),
    Case("empty.mp4", written(b"")),
    Case("list.m3u8: a play list", written(b"#EXTM3U\n#EXTINF:9,\nwhole.mp4\n")),
)  # fmt: skip


def read(case: Case, folder: Path) -> tuple[str, str]:
    """Make and read one case; return what was found, and what is wrong with it, empty for nothing."""
    path = case.make(folder / case.name.partition(":")[0])
    try:
        with open_video(path) as video:
            frames = list(read_frames(video, np.arange(len(video.index))))
            facts = video.facts
    except InputError as error:
        return f"{error.status}: {error}", "" if case.frames is None else "refused"
    except Exception as error:  # noqa: BLE001 - what the table is for
        return f"internal_error: {error}", "a fault of unmask"
    numbers = [number_of(frame.image_HW3) for frame in frames]
    found = (
        f"{len(frames)} of {facts.frames} frames, {facts.duration_seconds:.2f} s, {facts.codec} in {facts.container}"
    )
    if case.frames is None:
        return found, "should be refused"
    wrong = [] if len(frames) == facts.frames == case.frames else [f"{case.frames} frames expected"]
    wrong += ["other frames"] if case.numbers is not None and numbers != list(case.numbers) else []
    wrong += ["called cut short"] if facts.cut_short else []
    return found, ", ".join(wrong)


def scan(path: Path, scanner: Scanner) -> tuple[str, str]:
    """Scan one file; return the status of its row, and what is wrong with the row."""
    (verdict,) = scanner.scan_many(path)
    row = " ".join((*verdict.reasons, *verdict.warnings))
    wrong = verdict.status in ("internal_error", "crashed", "timeout") or "Traceback" in row
    return f"{verdict.status}: {row}", "row" if wrong else ""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder to make the media in")
    parser.add_argument("--only", default="", help="part of the names of cases")
    parser.add_argument("--scan", action="store_true", help="also scan each file")
    arguments = parser.parse_args()
    failed, scanner = 0, Scanner(workers=1) if arguments.scan else None
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for case in CASES:
            if arguments.only in case.name:
                found, wrong = read(case, folder)
                if scanner is not None:
                    row, fault = scan(folder / case.name.partition(":")[0], scanner)
                    found, wrong = f"{found[:44]:44} {row}", wrong or fault
                failed += bool(wrong)
                print(f"{'WRONG' if wrong else 'ok':5}  {case.name:40}  {found[:110]}{f'  [{wrong}]' if wrong else ''}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
