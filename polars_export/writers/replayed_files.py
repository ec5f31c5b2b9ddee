"""Open the files that an export writes; of a resumed one, those that it had begun when it was interrupted."""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["ReplayedFiles"]


class ReplayedFiles:
    """Opens the files of an output.

    A resumed export replays everything that it had written, without the contents: the files step over it, until
    `end_replay`. So what decides where a file ends, or what its footer says, needs no record of its own.
    """

    def __init__(self, *, resumed: bool) -> None:
        self.resumed = resumed
        self._begun: list[_Begun] = []

    def open(self, path: Path) -> BinaryIO:
        """Open a new file, or during a replay one that the export had begun.

        Raises:
            OSError: It cannot be opened; or, later, holds less than is replayed.
        """
        if not self.resumed:
            return path.open("wb")
        begun = _Begun(path)
        self._begun.append(begun)
        return begun

    def end_replay(self) -> None:
        """Write from now on: what a file has behind the place that was reached is cut off."""
        self.resumed = False
        for file in self._begun:
            if not file.closed:
                file.truncate()
                file.there = None
        self._begun.clear()


class _Begun(io.BufferedRandom):
    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "r+"))
        self.there: int | None = os.fstat(self.fileno()).st_size  # None behind all of it

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        if self.there is None:
            return super().write(data)
        if self.seek(len(data), os.SEEK_CUR) > self.there:
            raise OSError(errno.EIO, "what the killed export left is damaged: export again without --resume")
        return len(data)
