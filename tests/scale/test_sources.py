"""What may be named, and the manifest that becomes of it."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.scale.runs import rows_named
from unmask.datasets.parquet import write_parquet
from unmask.errors import UsageError
from unmask.scale.manifest import Manifest, write_manifest
from unmask.scale.rows import Row
from unmask.scale.sources import Sources
from unmask.scan.inputs import open_input
from unmask.storage.members import Member, list_members


def rows_of(*names, **options):
    return list(Sources([str(name) for name in names], **options).rows())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "videos"
    for name in ("b.mp4", "a.mp4", "deep/c.mp4", "notes.doc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_folders_patterns_and_files(folder):
    here = [str(folder / name) for name in ("a.mp4", "b.mp4")]
    assert [row.uri for row in rows_of(folder)] == here
    assert [row.name for row in rows_of(folder, recursive=True)] == ["a.mp4", "b.mp4", "deep/c.mp4"]
    assert [row.uri for row in rows_of(folder / "*.mp4")] == here
    assert [row.uri for row in rows_of(folder / "**/c.mp4")] == [str(folder / "deep" / "c.mp4")]
    (row,) = rows_of(folder / "a.mp4")
    facts = (folder / "a.mp4").stat()
    assert (row.size_bytes, row.version, row.below) == (5, str(facts.st_mtime_ns), None)
    assert rows_of("gone.mp4") == [Row("gone.mp4", "gone.mp4")]
    assert rows_of("https://host/x.mp4") == [Row("https://host/x.mp4", "x.mp4")]
    assert [row.name for row in rows_of(folder / "[a-d]*")] == ["a.mp4", "b.mp4"], "a folder has to be named itself"
    assert rows_of("d\0e.mp4") == [Row("d\0e.mp4", "d\0e.mp4")]
    sources = Sources([str(folder)])
    list(sources.rows())
    assert sources.passed == {".doc": 1, "folder": 1}


@pytest.mark.parametrize(("column", "named"), [("path", None), ("clip", "clip")])
def test_tables_and_lists(folder, tmp_path, column, named):
    paths = [str(folder / "b.mp4"), str(folder / "gone.mp4"), "s3://bucket/x.mp4"]
    (tmp_path / "t.csv").write_text(f"label,{column}\n" + "".join(f"1,{path}\n" for path in paths))
    write_parquet([{column: path} for path in paths], tmp_path / "t.parquet", {column: "string"})
    (tmp_path / "t.txt").write_text("\n".join(paths) + "\n")
    for name in ("t.csv", "t.parquet", "t.txt"):
        rows = rows_of(tmp_path / name, column=named)
        assert [row.uri for row in rows] == paths
        assert [row.size_bytes for row in rows] == [5, None, None]
    with pytest.raises(UsageError, match=f"no column other; its columns are label, {column}"):
        rows_of(tmp_path / "t.csv", column="other")


def test_a_manifest_is_read_as_it_was_written_and_copied(tmp_path):
    rows = [*rows_named(["quick"] * 9), Row("/in/\udcff.mp4", "\udcff.mp4", None, "", "/in"), Row("ü", "ü", 5, '"e"')]
    assert write_manifest(iter(rows), tmp_path / "m.parquet") == 11
    manifest = Manifest(tmp_path / "m.parquet")
    assert (len(manifest), list(manifest.rows())) == (11, rows)
    (piece,) = manifest.pieces()
    assert piece.ids.tolist() == [row.id.rstrip(b"\0") for row in rows]
    assert piece.costs.tolist() == pytest.approx([row.cost for row in rows])
    assert Sources([str(tmp_path / "m.parquet")]).write(tmp_path / "copy.parquet") == 11
    assert (tmp_path / "copy.parquet").read_bytes() == (tmp_path / "m.parquet").read_bytes()
    assert rows_of(tmp_path / "m.parquet") == rows
    write_parquet([{"path": "x"}], tmp_path / "t.parquet", {"path": "string"})
    with pytest.raises(UsageError, match="no manifest of unmask"):
        Manifest(tmp_path / "t.parquet")
    odd = write_manifest([Row("/in/\udcff.mp4", "\udcff.mp4")], tmp_path / "odd.parquet")
    assert odd == 1
    (tmp_path / "odd.parquet").write_bytes((tmp_path / "odd.parquet").read_bytes().replace(b'["', b'{"'))
    with pytest.raises(UsageError, match=r"a name in the manifest is damaged|cannot be read"):
        rows_of(tmp_path / "odd.parquet")


def tar_of(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_members_of_archives_are_rows_and_open_as_files(tmp_path):
    files = {"1.mp4": b"a" * 700, "1.json": b"{}", "odd::name %.mp4": b"b" * 513, "empty.mp4": b""}
    tar_of(tmp_path / "000.tar", files)
    rows = rows_of(tmp_path / "000.tar")
    assert [row.name for row in rows] == ["000.tar/1.mp4", "000.tar/odd::name %.mp4", "000.tar/empty.mp4"]
    for row, name in zip(rows[:2], ("1.mp4", "odd::name %.mp4"), strict=True):
        with open_input(row.uri, 1 << 20) as file:
            assert file.read() == files[name]
    with pytest.raises(Exception, match="--limits download="), open_input(rows[0].uri, 100):
        pass
    with (tmp_path / "000.tar").open("r+b") as file:
        file.truncate(800)
    with pytest.raises(Exception, match="ends before this member does"), open_input(rows[0].uri, 1 << 20):
        pass


def test_addresses_of_members():
    member = Member("a::b%3A.mp4", 512, 9, "s3://bucket/x::y.tar")
    assert Member.parse(member.address) == member
    assert Member.parse("tar://no") is None
    assert Member.parse("/a/tar://1+2/x::y") is None
    with pytest.raises(UsageError, match="cannot be listed as a tar archive"):
        list(list_members(io.BytesIO(b"no tar" * 200), "x.tar"))


def test_what_is_no_file_in_an_archive_is_passed_over(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, kind in {
            "d": tarfile.DIRTYPE,
            "l": tarfile.SYMTYPE,
            "h": tarfile.LNKTYPE,
            "a": tarfile.REGTYPE,
        }.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a"
            tar.addfile(info)
    with (tmp_path / "x.tar").open("rb") as file:
        assert [member.name for member in list_members(file, "x.tar")] == ["a"]


def test_a_manifest_of_many_rows_is_written_and_read_in_pieces(tmp_path):
    count = 40_000
    write_manifest((Row(f"/in/{n}.mp4", f"{n}.mp4", n, "") for n in range(count)), tmp_path / "m.parquet")
    pieces = [len(piece.ids) for piece in Manifest(tmp_path / "m.parquet").pieces()]
    assert sum(pieces) == count
    assert len(pieces) > 1
    assert Path(tmp_path / "m.parquet").stat().st_size < 60 * count
