from unmask.datasets import read_index


def test_the_written_index_can_be_read_back(sample, tmp_path):
    index = read_index(sample)
    index.write(tmp_path / "index.parquet")
    again = read_index(tmp_path / "index.parquet")
    assert (again.clips, again.root, again.dataset) == (index.clips, index.root, "dfdc")
