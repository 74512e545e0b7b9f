import re
import subprocess
from datetime import UTC, datetime
from shutil import which

import pytest

from unmask.report import write_index, write_page
from unmask.report.html import TICKS, make_plot
from unmask.report.words import clock, probability_text


def test_a_page_is_self_contained_and_inert(scanner, short_clips, tmp_path):
    row = scanner.scan(short_clips["blended"]).to_dict()
    row["path"] = "<img src=x onerror=alert(1)>.mp4"
    row["reasons"] = ["<b>bold</b>", *row["reasons"]]
    write_page(row, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.mp4" in page
    assert "<b>bold" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://|\son\w+=\"", page)
    assert page.count("<circle") == len(row["frames"])
    assert "Person 1" in page
    assert row["media"]["sha256"] in page


def test_an_index_lists_every_row(scanner, short_clips, tmp_path):
    rows = [scanner.scan(short_clips["authentic"]).to_dict(), scanner.scan(tmp_path / "missing.mp4").to_dict()]
    write_index(iter(rows), tmp_path / "report")
    index = (tmp_path / "report" / "index.html").read_text()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["000001.html", "000002.html", "index.html"]
    assert "unreadable" in index
    assert "No such file" in index


def brief(row):
    """Return a verdict with a second person, seen in two frames at 0.9991."""
    face = row["faces"][0] | {"person": 2, "frames": 2, "label": "inconclusive", "fake_probability": 0.9991}
    seen = [frame | {"person": 2, "fake_probability": 0.9991} for frame in row["frames"][3:5]]
    return row | {"faces": [*row["faces"], face], "frames": row["frames"] + seen}


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<title>.*?</title>|<[^>]+>", " ", page, flags=re.DOTALL))


@pytest.fixture(scope="module")
def row(scanner, clips):
    return scanner.scan(clips["authentic"]).to_dict()


def test_a_person_seen_too_briefly_is_shown_with_score_and_plot(row, tmp_path):
    write_page(brief(row), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    text = text_of(page)
    assert "Person 2 : inconclusive , fake probability &gt; 0.99" in text
    assert "too few frames to be judged (6 are needed)" in text
    assert page.count("<svg") == 2
    assert page.count("<circle") == len(row["frames"]) + 2


def test_times_scores_and_axis_values_are_text(row, tmp_path):
    write_page(row, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    text = text_of(page)
    for frame in row["frames"]:
        assert f"{frame['time_seconds']:.2f} s {frame['fake_probability']:.2f}" in text
    axis = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    thresholds = row["settings"]["thresholds"]
    lines = [f"{thresholds[name]:.2f}" for name in ("fake_above", "real_below")]
    assert axis[:5] == ["1 fake", "0.5", "0 real", *lines]
    assert axis[5:] == ["0 s", "0.5 s", "1 s", "1.5 s"]


def test_the_date_of_the_scan_stands_on_the_page(row, tmp_path):
    write_page(row | {"scanned_at": "2025-03-04T05:06:07Z", "elapsed_seconds": 1.234}, tmp_path / "page.html")
    text = text_of((tmp_path / "page.html").read_text())
    assert "Scanned 2025-03-04 05:06 UTC" in text
    assert "2025-03-04 05:06:07 UTC, 1.2 s" in text
    write_page(row, tmp_path / "page.html")
    assert f"Report written {datetime.now(UTC):%Y-%m-%d}" in text_of((tmp_path / "page.html").read_text())


def test_printed_pages_carry_name_and_hash(row, tmp_path):
    write_page(row, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    running = page[page.index('<div class="running">') :]
    assert "authentic.mp4" in running
    assert row["sha256"] in running


def test_a_reader_sees_the_old_report_or_the_new_one(row, tmp_path):
    """Pages are not exchanged one by one: a run that ends among them leaves all as it was."""
    write_index([row] * 2, tmp_path / "report")
    before = {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()}

    def rows():
        yield row | {"reasons": ["Another one."]}
        assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == before
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_index(rows(), tmp_path / "report")
    assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_other_files_in_the_folder_of_a_report_stay(row, tmp_path):
    write_index([row] * 2, tmp_path / "report")
    (tmp_path / "report" / "notes.txt").write_text("mine")
    (tmp_path / "report" / ".000001.html.0123456789abcdef.tmp").write_text("left by a killed run")
    write_index([row], tmp_path / "report")
    assert (tmp_path / "report" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "report" / "000002.html").exists()


def test_a_second_report_leaves_no_pages_of_other_videos(row, tmp_path):
    write_index([row] * 3, tmp_path / "report")
    (tmp_path / "report" / "000009.html").write_text("mine")
    write_index([row], tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["000001.html", "000009.html", "index.html"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (3.52, "3.5 s"), (59.9, "59.9 s"), (125.2, "2:05"), (3725, "1:02:05")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_scores_never_claim_certainty():
    assert [probability_text(p) for p in (0, 0.004, 0.0049999, 0.005, 0.5, 0.994, 0.9951, 1)] == [
        "< 0.01", "< 0.01", "< 0.01", "0.01", "0.50", "0.99", "> 0.99", "> 0.99",
    ]  # fmt: skip


@pytest.mark.parametrize("duration", [0.04, 1, 7.9, 8, 61, 599, 3600, 36000, 200000])
def test_axes_have_few_round_times_whatever_the_length(row, duration):
    plot = make_plot(row | {"media": row["media"] | {"duration_seconds": duration}}, 1)
    assert 1 <= len(plot.times) <= TICKS + 1
    assert plot.times[0] == (0, "0 s")
    assert all(0 <= x <= 600 for x, _ in plot.times)


def pages_of(pdf):
    """Return the text of each page of a PDF."""
    done = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True)
    return done.stdout.split("\f")[:-1]


@pytest.mark.skipif(not (which("chromium") and which("pdftotext")), reason="needs chromium and pdftotext")
def test_every_printed_page_of_a_browser_carries_name_and_hash(row, tmp_path):
    frames = [row["frames"][0] | {"time_seconds": i / 100} for i in range(160)]
    write_page(row | {"frames": frames}, tmp_path / "page.html")
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-pdf-header-footer", f"--user-data-dir={tmp_path / 'browser'}"]
    command += [f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    pages = pages_of(tmp_path / "page.pdf")
    assert len(pages) >= 2
    assert all(row["sha256"] in page and "authentic.mp4" in page for page in pages)
    assert "1.59 s" in "".join(pages)  # folded away on the screen, and printed all the same
