import re
from dataclasses import replace

from tests.explore.conftest import dataset
from tests.media_factory import pattern, write_video
from unmask.datasets import Clip, Fault
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.page import write_explore_page
from unmask.explore.summary import SERIES


def test_it_stands_alone(explored):
    page = (explored[0] / "index.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert page.count("data:image/jpeg") >= 8
    assert page.count("data:video/mp4") == 4
    assert len(page) < 3_000_000


def test_it_says_what_is_there(explored):
    page = (explored[0] / "index.html").read_text()
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    for words in ("11 clips", "1 cannot be read", "this is no media file", "Fakes made from an original", "0.6931"):
        assert words in re.sub(" +", " ", text), words
    for name in SERIES[:2]:
        assert name in text


def test_names_stay_text(tmp_path):
    write_video(tmp_path / "v.mp4", [pattern(i) for i in range(5)])
    name = "<img src=x onerror=alert(1)>"
    clip = Clip("<b>bold", "v.mp4", "real", method=name)
    index = replace(dataset(tmp_path, [clip]), faults=(Fault("m.json", name, "is odd"),))
    with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
        list(exploration.run())
        write_explore_page(index, exploration.clips(), ExploreSettings(sample=0), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<img src=x" not in page
    assert "<b>bold" not in page
    assert "No clip was searched for faces." in page
    assert "No fake lies beside its original." in page
