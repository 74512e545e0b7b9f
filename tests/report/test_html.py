import re

from unmask.report import write_index, write_page


def test_a_page_is_self_contained_and_inert(scanner, clips, tmp_path):
    row = scanner.scan(clips["blended"]).to_dict()
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


def test_an_index_lists_every_row(scanner, clips, tmp_path):
    rows = [scanner.scan(clips["authentic"]).to_dict(), scanner.scan(tmp_path / "missing.mp4").to_dict()]
    write_index(iter(rows), tmp_path / "report")
    index = (tmp_path / "report" / "index.html").read_text()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["000001.html", "000002.html", "index.html"]
    assert "unreadable" in index
    assert "No such file" in index
