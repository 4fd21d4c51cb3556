"""Files that are there as a whole or not at all, whatever happens in between."""

import os

import pytest

from supernet.whole_files import whole_file, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "odd[name]*.onnx"
    write_whole(path, b"old")
    path.with_name(f".{path.name}.tmp-{os.getpid()}").write_bytes(b"half")
    write_whole(path, "new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(error, tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail(beside):
        beside.write_text("ne")
        raise error

    with pytest.raises(error), whole_file(path) as beside:
        fail(beside)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_errors_name_the_file_itself(tmp_path):
    with pytest.raises(FileNotFoundError) as info:
        write_whole(tmp_path / "missing" / "a.yaml", "")
    assert info.value.filename == str(tmp_path / "missing" / "a.yaml")
    with pytest.raises(IsADirectoryError) as info:
        write_whole(tmp_path, "")
    assert info.value.filename == str(tmp_path)
