"""Files that are replaced in one step, and what is left when that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from daah.files import leftovers, replace_atomically, replacing


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_made_and_replaced(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "facts.json"
    for data in (b"old", b"newer"):
        replace_atomically(path, data, sync)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"half")
        assert path.read_bytes() == b"old"
        assert temporary.parent == path.parent  # a name is moved in one step on one disk only
        assert list(leftovers(path)) == [temporary]
    assert path.read_bytes() == b"half"
    assert list(leftovers(path)) == []


@pytest.mark.parametrize("problem", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, problem: type[BaseException]
) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(b"old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise problem

    with pytest.raises(problem):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "facts.json"):
        pass
    assert list(tmp_path.iterdir()) == []
