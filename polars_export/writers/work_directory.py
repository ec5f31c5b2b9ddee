"""The hidden directory beside an output in which it grows: one export at a time, and a killed one's is known."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from polars_export.errors import OutputError
from polars_export.file_names import WORK_DIR_PREFIX
from polars_export.writers.disk import os_errors_reported

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Work", "move_aside", "restore", "work_directory"]

_LOCK, _KEY, _PARTS, _OLD = "lock", "key", "parts", "old"

_OURS_ALONE, _ANYBODY = 0o700, 0o777  # without the bit by which a folder passes on its group


class Work(NamedTuple):
    """A work directory.

    Attributes:
        path: Where it is.
        parts: A directory in it, empty at first, for the files of the parts, and for what must be read twice.
        journal: A file in it that is kept for an export that takes this one up; where there is none, nothing is.
        resumed: Whether it holds what an export of the same key had done when it was killed.
    """

    path: Path
    parts: Path
    journal: Path
    resumed: bool


@contextmanager
def work_directory(output: str, path: Path | None, key: str, *, resume: bool) -> Iterator[Work]:
    """Make the work directory of an output, which goes when the block ends, with or without an error.

    It is this user's alone: what is piped through is nobody else's. While it is in use it is locked. One that is there
    and not locked was left by an export that was killed.

    Args:
        output: The name of the output, for messages.
        path: Where the output goes; None for standard output.
        key: Tells all that decides on the bytes of the output but for the sources.
        resume: Whether to keep what a killed export of the same key has left.

    Raises:
        OutputError: Another export into the output is under way, or the directory cannot be made or removed.
    """
    with os_errors_reported(output):
        work, lock = _locked(output, path) if path else (Path(tempfile.mkdtemp(prefix=WORK_DIR_PREFIX)), None)
    try:
        with os_errors_reported(output):
            if path:
                restore(work, path)
            opened = _opened(work, key, resume=resume)
        yield opened
    except BaseException:
        with suppress(OSError):
            _remove(work)
        raise
    else:
        with os_errors_reported(f"{work} (left over; the output is complete)"):
            _remove(work)
    finally:
        if lock is not None:
            os.close(lock)


def _opened(work: Path, key: str, *, resume: bool) -> Work:
    known, journal = work / _KEY, work / "journal"
    resumed = resume and journal.exists() and known.exists() and known.read_text() == key
    for left in work.iterdir():
        if left.name.startswith(_PARTS) or not (resumed or left.name == _LOCK):
            _remove_one(left)
    known.write_text(key)
    # A name of its own: a worker of the killed export may be at its last part yet.
    return Work(work, Path(tempfile.mkdtemp(prefix=_PARTS, dir=work)), journal, resumed)


def _remove(work: Path) -> None:
    """Remove a directory, the lock last: from then on it may be another export's."""
    for left in work.iterdir():
        if left.name != _LOCK:
            _remove_one(left)
    (work / _LOCK).unlink(missing_ok=True)
    try:
        work.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
            raise


def move_aside(work: Path, path: Path) -> None:
    """Move what an output replaces into its work directory, where there is no way to exchange the two."""
    path.rename(work / _OLD)


def restore(work: Path, path: Path) -> None:
    """Put back what was moved, if nothing has taken its place."""
    if (work / _OLD).exists() and not path.exists():
        (work / _OLD).rename(path)


def _remove_one(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        _open_up(path)
        shutil.rmtree(path)
    else:
        path.unlink()


def _open_up(path: Path) -> None:
    """Make a directory and those in it such that what they hold can be removed; those of others may be so already."""
    with suppress(PermissionError):
        path.chmod(_OURS_ALONE)
    for folder in path.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            _open_up(folder)


def _locked(output: str, path: Path) -> tuple[Path, int | None]:
    """Return the directory and its lock, None where the file system has no locks."""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]  # the name itself might become too long
    work = path.parent / f"{WORK_DIR_PREFIX}{name}"
    while True:
        try:
            work.mkdir(mode=_OURS_ALONE)
        except FileExistsError:
            with suppress(FileNotFoundError):
                _check_ours(work, output)
        try:
            lock = os.open(work / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # whoever held it has just removed the directory
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise OutputError(output, "another export is writing to it") from None
        except OSError:
            os.close(lock)
            return work, None
        if _is_in_place(work / _LOCK, lock):
            return work, lock
        os.close(lock)  # removed, as above


def _check_ours(work: Path, output: str) -> None:
    """Check that what another process can have put into a directory cannot harm."""
    found = work.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _ANYBODY != _OURS_ALONE:
        raise OutputError(output, f"{work} is in the way, and not what an export of yours has left; remove it")


def _is_in_place(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
