"""Files made to break a scanner, in a few seconds: PyAV encodes, bytes lie. docs/hostile.md says what each is.

The letters are those of the kinds there: A broken, B lying headers, C odd but legal, D bombs, E parser tricks, F no
regular files, G labels.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import zipfile
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from tests.evidence.label_files import C2PA_UUID, Content, add_pieces, laughs, manifest_store, nested_jumbf
from tests.media_factory import cut_without_reencoding, on_canvas, pattern, write_sound, write_tone, write_video

QUICK = {"preset": "ultrafast", "crf": "12"}
"""Options of libx264."""
RATE = 10
SIDE = 320


def portraits(portrait: np.ndarray, count: int) -> list[np.ndarray]:
    """Return images (320, 320, 3) of a face that moves a little."""
    return [on_canvas(portrait, (SIDE, SIDE), (10 + i % 20, 15), 280) for i in range(count)]


def write_hostile(folder: Path, portrait: np.ndarray, port: int) -> None:
    """Write all files.

    Args:
        folder: Where to.
        portrait: A face, (H, W, 3).
        port: Of a listener on loopback, which play lists name.
    """
    images = portraits(portrait, 30)
    plain = write_video(folder / "c_upright.mp4", images, rate=RATE, options=QUICK, gop=6)
    fast = repack(plain, folder / "c_fast_start.mp4", movflags="faststart")
    for name, content in {**broken(fast.read_bytes(), plain.read_bytes()), **lying(fast.read_bytes())}.items():
        (folder / name).write_bytes(content)
    write_odd_codecs(folder, images)
    write_odd_shapes(folder, images)
    write_odd_times(folder, images, plain)
    write_bombs(folder, repack(plain, folder / "c_stream.ts"))
    crowd = [np.tile(image, (6, 6, 1)) for image in images[:6]]
    write_video(folder / "d_crowd.mp4", crowd, rate=RATE, options=QUICK)
    for name, content in tricks(port, "c_upright.mp4").items():
        (folder / name).write_bytes(content.encode())
    write_no_files(folder)
    write_false_labels(folder, fast)
    (folder / "e_outside_data.mp4").write_bytes(with_outside_data(plain.read_bytes(), f"http://127.0.0.1:{port}/x.mp4"))


def repack(source: Path, target: Path, form: str | None = None, **options: str) -> Path:
    """Copy the packets of a file into another container."""
    with av.open(str(source)) as original, av.open(str(target), "w", format=form, options=options) as copy:
        out = copy.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.dts is not None:
                packet.stream = out
                copy.mux(packet)
    return target


def broken(fast: bytes, slow: bytes) -> dict[str, bytes]:
    """A: files that were cut, overwritten, or never were films.

    Args:
        fast: An MP4 file whose index comes first.
        slow: The same with its index at the end.
    """
    noise, data = random.Random(0), fast.index(b"mdat") + 4
    length = len(fast) - data
    flipped, hole, header = bytearray(fast), bytearray(fast), bytearray(fast)
    for i in range(data + 3000, len(flipped), 301):
        flipped[i] ^= 0xFF
    hole[data + length // 3 : data + length // 2] = bytes(length // 2 - length // 3)
    for i in range(0, data - 4, 53):
        header[i] ^= 0x55
    return {
        "a_empty.mp4": b"",
        "a_one_byte.mp4": b"\0",
        "a_noise.mp4": noise.randbytes(65536),
        "a_text.mp4": b"this is not a video\n" * 100,
        "a_page_and_film.mp4": b"<html><script>alert(1)</script></html>" + fast,
        "a_cut_in_first_frame.mp4": fast[: data + 40],
        "a_cut_at_half.mp4": fast[: data + length // 2],
        "a_without_index.mp4": slow[: slow.index(b"moov") - 4],
        "a_cut_in_index.mp4": fast[: fast.index(b"stbl") + 64],
        "a_flips_in_data.mp4": bytes(flipped),
        "a_hole.mp4": bytes(hole),
        "a_flips_in_header.mp4": bytes(header),
        "a_garbage_tail.mp4": fast + noise.randbytes(50000),
        "a_joined.mp4": fast + fast,
    }


def lying(fast: bytes) -> dict[str, bytes]:
    """B: headers that claim what is not so."""

    def patched(*patches: tuple[bytes, int, bytes]) -> bytes:
        """Overwrite bytes at a distance from the name of a box."""
        content = bytearray(fast)
        for box, distance, new in patches:
            at = content.rindex(box, 0, content.index(b"mdat")) + len(box) + distance
            content[at : at + len(new)] = new
        return bytes(content)

    most, days = struct.pack(">I", 2**31 - 1), struct.pack(">I", 0xFFFFFFF0)
    nested = b"".join(struct.pack(">I4s", 8 * (20_000 - i), b"moov") for i in range(20_000))
    return {
        "b_two_billion_frames.mp4": patched((b"stts", 8, most)),
        "b_268_million_samples.mp4": patched((b"stsz", 8, struct.pack(">I", 2**28))),
        "b_65535_pixels_wide.mp4": patched((b"avc1", 24, struct.pack(">HH", 65535, 65535))),
        "b_49_days.mp4": patched((b"mvhd", 16, days), (b"mdhd", 16, days)),
        "b_no_time_scale.mp4": patched((b"mdhd", 12, bytes(4))),
        "b_box_of_4_gb.mp4": patched((b"moov", -8, b"\xff" * 4)),
        "b_nested_20000_deep.mp4": fast[: fast.index(b"moov") - 4] + nested,
    }


def _as_pq(image: np.ndarray) -> np.ndarray:
    """Return an ordinary picture as it is stored for a screen of high dynamic range (SMPTE ST 2084)."""
    power = (203 / 10_000 * (np.arange(256) / 255) ** 2.4) ** (2610 / 16384)
    signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    return np.rint(255 * signal).astype(np.uint8)[image]


def write_odd_codecs(folder: Path, images: Sequence[np.ndarray]) -> None:
    """C: sound, covers, and ways of storing images."""
    few = images[:12]
    write_sound(folder / "c_sound_only.mp4")
    write_cover(folder / "c_cover.m4v", images[0])
    quiet = "log-level=none:pools=1:frame-threads=1"
    hdr = f"{quiet}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    forms: dict[str, tuple[str, str, dict[str, str]]] = {
        "c_hdr.mp4": ("libx265", "yuv420p10le", {"preset": "ultrafast", "x265-params": hdr}),
        "c_444.mp4": ("libx264", "yuv444p", QUICK),
        "c_grey.mp4": ("libx264", "gray", QUICK),
        "c_alpha.webm": ("libvpx-vp9", "yuva420p", {"deadline": "realtime", "cpu-used": "8"}),
        "c_interlaced.mpg": ("mpeg2video", "yuv420p", {"flags": "+ildct+ilme", "b": "4M"}),
        "c_laboratory.mkv": ("snow", "yuv420p", {"strict": "experimental"}),
        "c_av1.mp4": ("libsvtav1", "yuv420p", {"preset": "12", "svtav1-params": "lp=1"}),
    }
    for name, (codec, form, options) in forms.items():
        rate = 25 if name.endswith(".mpg") else RATE
        shown = [_as_pq(image) for image in few] if name == "c_hdr.mp4" else few
        write_video(folder / name, shown, rate=rate, codec=codec, pixel_format=form, options=options)
    write_video(folder / "c_still.png", [pattern(0)], codec="png", pixel_format="rgb24")
    (folder / "c_still.png").rename(folder / "c_still.mp4")
    write_video(folder / "c_moving.gif", few[::2], codec="gif", pixel_format="rgb8")
    write_video(folder / "c_no_suffix.mkv", few, rate=RATE, options=QUICK).rename(folder / "c_no_suffix")


def write_cover(path: Path, image: np.ndarray) -> None:
    """Write sound with a still cover image."""
    with av.open(str(path), "w", format="mp4") as container:
        sound, cover = container.add_stream("aac", rate=44100), container.add_stream("png")
        cover.height, cover.width, cover.pix_fmt = *image.shape[:2], "rgb24"
        cover.disposition = Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        write_tone(container, sound, 0.5)


def write_odd_shapes(folder: Path, images: Sequence[np.ndarray]) -> None:
    """C: orientation, sizes, several tracks."""
    # Lossless, since a codec sees other blocks in an image that lies on its side.
    lossless: dict[str, Any] = {"rate": RATE, "options": QUICK | {"crf": "0"}, "pixel_format": "yuv444p"}
    for degrees in (0, 90, 180, 270):
        stored = [np.ascontiguousarray(np.rot90(image, -degrees // 90)) for image in images]
        turned = (degrees, False, False)
        write_video(folder / f"c_rotated_{degrees}.mp4", stored, orientation=turned, **lossless)
    stored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    write_video(folder / "c_mirrored.mp4", stored, orientation=(0, True, False), **lossless)
    odd = [np.ascontiguousarray(image[:-1, :-1]) for image in images[:12]]
    write_video(folder / "c_odd_size.mp4", odd, rate=RATE, options=QUICK, pixel_format="yuv444p")
    write_video(folder / "c_2x2.mp4", [np.zeros((2, 2, 3), np.uint8)] * 12, options=QUICK)
    write_video(folder / "c_8192x16.mp4", [np.zeros((16, 8192, 3), np.uint8)] * 5, options=QUICK)
    write_video(folder / "c_black.mp4", [np.zeros((240, 320, 3), np.uint8)] * 12, options=QUICK)
    write_tracks(folder / "c_two_tracks.mp4", [images[:12], [pattern(i) for i in range(12)]])
    write_tracks(folder / "c_wide_pixels.mp4", [images[:12]], aspect=Fraction(2))
    small = write_video(folder / "small.ts", images[:8], rate=RATE, options=QUICK)
    large = [np.repeat(np.repeat(image, 2, 0), 2, 1) for image in images[:8]]
    with write_video(folder / "large.ts", large, rate=RATE, options=QUICK).open("rb") as more:
        (folder / "c_size_change.ts").write_bytes(small.read_bytes() + more.read())
    small.unlink()
    (folder / "large.ts").unlink()


def write_tracks(path: Path, tracks: Sequence[Sequence[np.ndarray]], aspect: Fraction | None = None) -> None:
    """Write several video tracks of one rate, the first one being the default."""
    with av.open(str(path), "w") as container:
        streams = []
        for number, images in enumerate(tracks):
            stream = container.add_stream("libx264", rate=RATE, options=QUICK)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            if number == 0:
                stream.disposition = Disposition.default
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            streams.append(stream)
        for stream, images in zip(streams, tracks, strict=True):
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())


def write_odd_times(folder: Path, images: Sequence[np.ndarray], plain: Path) -> None:
    """C: few frames, and strange time stamps."""
    write_video(folder / "c_one_frame.mp4", images[:1], options=QUICK)
    write_video(folder / "c_five_frames.mp4", images[:5], options=QUICK)
    gaps = np.random.default_rng(0).integers(10, 400, 20).cumsum()
    write_video(folder / "c_uneven.mp4", images[:20], times=[int(gap) for gap in gaps], options=QUICK)
    late = [3_600_000 + 100 * i for i in range(12)]
    write_video(folder / "c_starts_at_1_h.mkv", images[:12], times=late, options=QUICK)
    cut_without_reencoding(plain, folder / "c_edit_list.mp4", 0.9)
    endless = QUICK | {"keyint_min": "9999", "sc_threshold": "0"}
    write_video(folder / "c_endless_gop.mp4", images, rate=RATE, options=endless, gop=9999)
    write_video(folder / "c_1000_a_second.mp4", images[:12], times=range(12), options=QUICK)
    write_video(folder / "c_one_in_10_s.mp4", images[:4], times=range(0, 40_000, 10_000), options=QUICK)


def write_bombs(folder: Path, stream: Path) -> None:
    """D: small files that ask for gigabytes or hours."""
    tail = write_grey(folder / "d_8k.ts", "libx264", (8192, 4320), 2, "yuv420p")
    repack(tail, folder / "d_8k.mp4")
    (folder / "d_grows_to_8k.ts").write_bytes(stream.read_bytes() + tail.read_bytes())
    tail.unlink()
    write_grey(folder / "d_16k.mov", "png", (16384, 8640), 1, "gray")
    write_repeated(folder / "d_36000_frames.mp4", 36_000)
    (folder / "d_huge_png.mp4").write_bytes(png(30_000, 30_000))
    with zipfile.ZipFile(folder / "d_zeros.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("v.mp4", bytes(64 << 20))
    (folder / "d_zeros.mp4").write_bytes((folder / "d_zeros.zip").read_bytes())
    with zipfile.ZipFile(folder / "d_climbs_out.zip", "w") as archive:
        archive.writestr("../../evil.mp4", b"x")
        archive.writestr("/abs/evil.mp4", b"x")
    with zipfile.ZipFile(folder / "d_links_out.zip", "w") as archive:
        link = zipfile.ZipInfo("link.mp4")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (folder / "d_many_entries.zip").write_bytes(many_entries(100_000))


def write_grey(path: Path, codec: str, size: tuple[int, int], frames: int, pixel_format: str) -> Path:
    """Write a film of one colour, without an image in memory for each colour."""
    width, height = size
    rows = height if pixel_format == "gray" else height * 3 // 2
    image = av.VideoFrame.from_ndarray(np.full((rows, width), 128, np.uint8), format=pixel_format)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1, options=QUICK if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        for number in range(frames):
            image.pts = number
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return path


def write_repeated(path: Path, frames: int) -> None:
    """Write one key frame of 16 x 16 pixels again and again."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 16
        image = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        (key,) = [*stream.encode(image), *stream.encode()]
        data, base = bytes(key), key.time_base
        for number in range(frames):
            packet = av.Packet(data)
            packet.pts = packet.dts = round(number / base)
            packet.stream, packet.time_base, packet.is_keyframe = stream, base, True
            container.mux(packet)


def png(width: int, height: int) -> bytes:
    """Return an image of one colour and one bit a pixel, row by row."""
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + deflate.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def many_entries(count: int) -> bytes:
    """Return an archive whose list names one empty file again and again."""
    entry = struct.pack("<4sHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"x.mp4"
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 5, 0) + b"x.mp4"
    most = min(count, 0xFFFF)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, most, most, len(entry) * count, len(local), 0)
    return local + entry * count + end


def tricks(port: int, film: str) -> dict[str, str]:
    """E: text that some reader of films follows to an address, or to another file: ``film``, beside it."""
    url = f"http://127.0.0.1:{port}/x.ts"
    head, tail = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n", "\n#EXT-X-ENDLIST\n"
    mpd = '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    mpd += 'mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
    mpd += '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000"><BaseURL>'
    mpd += f"{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    laughs = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    sdp += f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    return {
        "e_hls_address.mp4": head + url + tail,
        "e_hls_address.m3u8": head + url + tail,
        "e_hls_file.mp4": f"{head}file:///etc/passwd{tail}",
        "e_hls_neighbour.mp4": head + film + tail,
        "e_hls_neighbour.m3u8": head + film + tail,
        "e_hls_key.mp4": head.replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF') + film + tail,
        "e_hls_up.m3u8": f"{head}../{film}{tail}",
        "e_hls_itself.m3u8": f"{head}e_hls_itself.m3u8{tail}",
        "e_hls_twice.m3u8": f"{head}{film}\n#EXTINF:10.0,\n{film}{tail}",
        "e_hls_gone.m3u8": f"{head}{film}\n#EXTINF:10.0,\nnone.ts{tail}",
        "e_concat_neighbour.mp4": f"ffconcat version 1.0\nfile '{film}'\n",
        "e_concat_address.mp4": f"ffconcat version 1.0\nfile '{url}'\n",
        "e_session.mp4": sdp,
        "e_dash.mp4": mpd,
        "e_dash.mpd": mpd,
        "e_laughs.mp4": f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{laughs}]><MPD>&j;</MPD>',
        "e_entity.mp4": f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "{url}">]><svg>&x;</svg>',
    }


def write_false_labels(folder: Path, film: Path) -> None:
    """G: a good film with labels that were made to break who reads them."""
    pieces = {
        "g_c2pa_nested.mp4": Content({}, c2pa=nested_jumbf()),
        "g_c2pa_bomb.mp4": Content({}, c2pa=manifest_store()[:-24] + b"\x9f" * 100_000),
        "g_c2pa_of_16_mb.mp4": Content({}, c2pa=bytes(16 << 20)),
        "g_xmp_laughs.mp4": Content({}, xmp=laughs()),
        "g_xmp_deep.mp4": Content({}, xmp=b"<li>" * 500_000),
        "g_aigc_nested.mp4": Content({}, aigc=b'{"AIGC":' + b"[" * 200_000),
    }
    for name, content in pieces.items():
        (folder / name).write_bytes(film.read_bytes())
        add_pieces(folder / name, content)
    lying = struct.pack(">I4sQ", 1, b"uuid", 1 << 62) + bytes.fromhex(C2PA_UUID) + b"\0\0\0\0manifest\0"
    (folder / "g_uuid_of_4_eb.mp4").write_bytes(film.read_bytes() + lying)
    (folder / "g_20000_boxes.mp4").write_bytes(film.read_bytes() + b"\0\0\0\x08free" * 20_000)


def write_no_files(folder: Path) -> None:
    """F: what has the name of a film and is no regular file."""
    os.mkfifo(folder / "f_pipe.mp4")
    (folder / "f_loop.mp4").symlink_to("f_loop.mp4")
    with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as server:  # its name may not be long
        server.bind("f_socket.mp4")


def with_outside_data(slow: bytes, url: str) -> bytes:
    """Return an MP4 file, its index at the end, whose images are said to lie at an address (a ``dref`` box)."""
    place = url.encode() + b"\0"
    old = struct.pack(">I4sI", 12, b"url ", 1)
    content = bytearray(slow.replace(old, struct.pack(">I4sI", 12 + len(place), b"url ", 0) + place))
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = content.index(box) - 4
        content[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", content, at)[0] + len(place))
    return bytes(content)
