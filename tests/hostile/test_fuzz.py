"""Good files, damaged at random: one row each, and the process that asks for them lives on.

python -m pytest tests/hostile/test_fuzz.py -m fuzz      # 10,000 files
"""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from tests.hostile.factory import QUICK, repack
from tests.hostile.fuzz_parsers import KEPT, kept
from tests.hostile.fuzz_structure import NoFaces, Outcome, patient_scanner, read_mutants, scan_mutants, write_originals
from tests.hostile.mutate import mutate
from tests.hostile.parsers import PARSERS
from tests.hostile.structure import FORMS, places
from tests.media_factory import pattern, write_video
from unmask import Scanner
from unmask.media import Limits
from unmask.media.server import SERVER
from unmask.types import Status

BATCH = 100


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> list[Path]:
    """Small good files, of several containers and codecs."""
    folder = tmp_path_factory.mktemp("originals")
    images = [pattern(number, (64, 48)) for number in range(12)]
    slow = write_video(folder / "slow.mp4", images, rate=10, options=QUICK, gop=4, tone=True)
    copies = [repack(slow, folder / name) for name in ("copy.mkv", "copy.ts", "copy.flv")]
    fast = repack(slow, folder / "fast.mp4", movflags="faststart")
    pieces = repack(slow, folder / "pieces.mp4", movflags="frag_keyframe+empty_moov")
    forms = {
        "hevc.mp4": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"}),
        "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        "mpeg4.avi": ("mpeg4", {}),
        "old.mpg": ("mpeg2video", {}),
    }
    others = [
        write_video(folder / name, images, rate=25, codec=codec, options=options)
        for name, (codec, options) in forms.items()
    ]
    moving = write_video(folder / "moving.gif", images, codec="gif", pixel_format="rgb8")
    return [slow, fast, pieces, *copies, *others, moving]


@pytest.fixture(scope="module")
def two_at_a_time() -> Scanner:
    scanner = Scanner(precision="fp32", frames=8, workers=2, limits=Limits(seconds=10))
    scanner.detector = NoFaces()
    return scanner


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.fuzz)])
def test_damaged_files_get_a_row_each(originals, two_at_a_time, tmp_path, count):
    statuses = Counter()
    allowed = set(get_args(Status)) - {"internal_error"}
    for start in range(0, count, BATCH):
        paths = []
        for seed in range(start, start + BATCH):
            original = originals[seed % len(originals)]
            paths.append(tmp_path / f"{seed:06d}_{original.name}")  # enough to make it again
            paths[-1].write_bytes(mutate(original.read_bytes(), seed))
        verdicts = list(two_at_a_time.scan_many(paths))
        assert [verdict.path for verdict in verdicts] == list(map(str, paths))
        for verdict in verdicts:
            assert verdict.status in allowed, verdict
            assert verdict.reasons
        statuses.update(verdict.status for verdict in verdicts)
        for path in paths:
            path.unlink()
    print(dict(statuses))
    assert statuses["no_face"] > count / 10, "damage that nothing survives tests little"
    assert statuses["unreadable"] > count / 10, "damage that everything survives, too"


@pytest.mark.parametrize(("scanned", "count"), [(160, 1000), pytest.param(10_000, 100_000, marks=pytest.mark.fuzz)])
def test_containers_whose_parts_lie_get_a_row_each(tmp_path, scanned, count):
    """`tests.hostile.fuzz_structure` is for more of them, and says what they cost."""
    (tmp_path / "originals").mkdir()
    originals, server = write_originals(tmp_path / "originals"), set()
    for path in originals:
        read, write = FORMS[path.suffix]
        nodes = read(path.read_bytes())
        assert len(places(nodes)) > 10
        assert write(read(write(nodes))) == write(nodes)
    outcome = Outcome()
    for outcome in scan_mutants(originals, patient_scanner(), tmp_path, range(scanned)):  # noqa: B007 - the last one counts
        server.add(SERVER.pid)
    assert outcome.wrong == []
    assert outcome.statuses["no_face"] > scanned / 3, "most of what is not changed is still found"
    assert outcome.statuses["unreadable"] > scanned / 10
    read = Counter(read_mutants(tmp_path / "originals", range(scanned, count), seconds=10_000 if count > 1000 else 300))
    assert read.total() == count - scanned
    assert read["ok"] > read.total() / 3
    assert read["crashed"] < read.total() / 1000, "a crash costs one row; many are worth a look"
    assert len(server) == 1, "no file brings down the process that starts decoders"


@pytest.mark.parametrize("name", PARSERS)
def test_what_the_guided_fuzzer_found_is_read(name, tmp_path):
    """`tests.hostile.fuzz_parsers` keeps the shortest inputs that take each step of a parser."""
    PARSERS[name].seeds(tmp_path)
    for number, data in enumerate(kept(name)):
        try:
            PARSERS[name](data, tmp_path)
        except Exception as error:
            raise AssertionError(f"{name}/{number:04d} of corpus.zip: {data[:2000]!r}") from error


def test_something_is_kept_and_it_is_small():
    assert sum(bool(kept(name)) for name in PARSERS) > len(PARSERS) / 2
    assert KEPT.stat().st_size < 300_000


@pytest.mark.parametrize("name", PARSERS)
def test_numbers_that_no_float_holds_are_refused_in_words(name, tmp_path):
    """No guided fuzzer comes to write four hundred digits."""
    for data in PARSERS[name].seeds(tmp_path):
        if len(data) > 5000 or b"\0" in data:
            continue  # not a text
        for number in list(re.finditer(rb"-?\d+(\.\d+)?", data))[:8]:
            changed = data[: number.start()] + b"1" + b"0" * 400 + data[number.end() :]
            try:
                PARSERS[name](changed, tmp_path)
            except Exception as error:
                raise AssertionError(f"{changed[:2000]!r}") from error


@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("name", PARSERS)
def test_damaged_tables_and_descriptions_are_refused_in_words(name, tmp_path, count):
    seeds = PARSERS[name].seeds(tmp_path)
    for data in seeds:
        PARSERS[name].read(data, tmp_path)
    for seed in range(count):
        data = mutate(seeds[seed % len(seeds)], seed)
        try:
            PARSERS[name](data, tmp_path)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {data[:2000]!r}") from error
