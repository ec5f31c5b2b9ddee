"""An output grows in a directory that one export has at a time, and that the next one knows if it was killed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.writers.work_directory import work_directory

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_this_users_alone_and_goes(tmp_path: Path) -> None:
    with work_directory("out", tmp_path / "out", "key", resume=False) as work:
        assert work.path.parent == tmp_path
        assert stat.S_IMODE(work.path.stat().st_mode) == 0o700
        assert list(work.parts.iterdir()) == []
        assert not work.resumed
    assert list(tmp_path.iterdir()) == []


def test_it_goes_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), work_directory("out", tmp_path / "out", "key", resume=False):
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []


def test_a_second_export_into_one_output_is_refused(tmp_path: Path) -> None:
    with work_directory("out", tmp_path / "out", "key", resume=False) as work:
        with (
            pytest.raises(pe.OutputError, match="out: another export is writing to it"),
            work_directory("out", tmp_path / "out", "key", resume=True),
        ):
            pass
        assert work.parts.is_dir()
        with work_directory("other", tmp_path / "other", "key", resume=False) as other:
            assert other.path != work.path


def left_behind(tmp_path: Path, key: str) -> Path:
    """Leave the directory of an export as if it had been killed, and return it."""
    with work_directory("out", tmp_path / "out", key, resume=False) as work:
        (work.path / "new").mkdir()
        (work.path / "new" / "out").write_bytes(b"begun")
        work.journal.write_bytes(b"entries")
        (work.parts / "000001").write_bytes(b"half")
        kept = tmp_path / "kept"
        work.path.rename(kept)
        work.path.mkdir()
    kept.rename(work.path)
    return work.path


@pytest.mark.parametrize(("resume", "key"), [(True, "key"), (False, "key"), (True, "other")])
def test_what_a_killed_export_left_is_taken_up_only_if_asked_for_and_of_the_same_key(
    tmp_path: Path, key: str, *, resume: bool
) -> None:
    left = left_behind(tmp_path, "key")
    with work_directory("out", tmp_path / "out", key, resume=resume) as work:
        assert work.path == left
        assert work.resumed == (resume and key == "key")
        assert (work.path / "new" / "out").exists() == work.resumed
        assert list(work.parts.iterdir()) == []
        assert len(list(work.path.glob("parts*"))) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_taken_up_that_another_could_have_put_there(tmp_path: Path) -> None:
    left_behind(tmp_path, "key").chmod(0o777)
    with (
        pytest.raises(pe.OutputError, match="in the way, and not what an export of yours has left"),
        work_directory("out", tmp_path / "out", "key", resume=True),
    ):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    left = left_behind(tmp_path, "key")
    left.rename(tmp_path / "elsewhere")
    left.symlink_to("elsewhere")
    with (
        pytest.raises(pe.OutputError, match="in the way"),
        work_directory("out", tmp_path / "out", "key", resume=False),
    ):
        pass
    assert (tmp_path / "elsewhere" / "journal").exists()


def test_a_name_as_long_as_a_name_may_be_has_one_too(tmp_path: Path) -> None:
    name = "n" * os.pathconf(tmp_path, "PC_NAME_MAX")
    with work_directory(name, tmp_path / name, "key", resume=False) as work:
        assert work.parts.is_dir()
