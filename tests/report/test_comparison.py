import re

import pytest

from unmask.compared import AlignedBy, Comparison, FaceComparison, PairPicture, PairScore, ScenePair
from unmask.facts import MediaFacts
from unmask.report.comparison import write_comparison_page

MEDIA = MediaFacts(
    1, "0" * 64, "mp4", "h264", "yuv420p", 320, 240, 0, False, 1.0, 50, 50, False, 25.0, 2.0, 0.0, None, None, None
)


@pytest.fixture
def comparison():
    import cv2
    import numpy as np

    jpeg = cv2.imencode(".jpg", np.full((160, 160, 3), 90, np.uint8))[1].tobytes()
    png = cv2.imencode(".png", np.full((64, 64), 200, np.uint8))[1].tobytes()
    face = FaceComparison(
        1, True, 0.0, 1.9, 8, 0.3, 0.02, 0.2, 0.9, "fake", 0.1, "real", 3.2, "suspect",
        tuple(PairScore(i / 4, i / 4 + 2, (1, 2, 3, 4), 0.3, 0.02, 0.9, 0.1) for i in range(8)),
        tuple(PairPicture(i / 4, i / 4 + 2, 0.3, jpeg, jpeg, png) for i in range(6)),
        ScenePair(0.5, 2.5, 160, 120, (10, 10, 50, 50), jpeg, jpeg, png),
    )  # fmt: skip
    by = AlignedBy(2.0, 1.0, True, 0.5, 0.5, (0, 0, 160, 120), 0.0, 1.9, 0.98, 80)
    hash_ = {"hash": "0" * 16, "frames": 8, "crops": [{"min_side_px": 40}]}
    return Comparison(
        "<script>alert(1)</script>.mp4", "a&b.mp4", "changed", ("Because.",), ("Careful.",), by, (face,), 8,
        MEDIA, MEDIA, ({"name": "bundled", "version": "3", "sha256": "1" * 64},), hash_,
    )  # fmt: skip


def test_the_page_stands_alone_and_names_are_text(comparison, tmp_path):
    page = (comparison.save(tmp_path / "c.html")).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("data:image/jpeg") == 2 * 6 + 2
    assert page.count('class="map"') == 6 + 1
    assert "mirrored original" in page
    assert "Because." in page
    assert "--html comparison.html" in page


def test_a_page_has_an_end(comparison, tmp_path):
    row = comparison.to_dict(timing=True, pictures=True)
    row["faces"] = [row["faces"][0] | {"person": number} for number in range(1, 40)]
    write_comparison_page(row, tmp_path / "c.html")
    assert (tmp_path / "c.html").stat().st_size < 260_000
    assert "further people" in (tmp_path / "c.html").read_text()


def test_without_pictures_the_page_is_in_words(comparison, tmp_path):
    write_comparison_page(comparison.to_dict(), tmp_path / "c.html")
    assert "data:image" not in (tmp_path / "c.html").read_text()


def test_other_suffixes_are_refused(comparison, tmp_path):
    from unmask.errors import UsageError

    with pytest.raises(UsageError, match=r"\.json or \.html"):
        comparison.save(tmp_path / "c.csv")
    assert comparison.save(tmp_path / "c.json").read_text().startswith("{")
