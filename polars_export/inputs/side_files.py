"""Files beside a source that say more of its traces, such as reports of what was resolved."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from polars_export.json_values import parse
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.sources.store import FileKind, store_for

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.json_values import Json
    from polars_export.messages.records import Trace

__all__ = [
    "accompanies_run",
    "has_files_near",
    "json_beside",
    "resolved_beside",
    "resolved_in",
    "set_verdict",
    "stem_of",
]

_LARGEST = 64 << 20  # bytes of a file that is read whole

_FOLDERS = 10  # in which a run's trajectories are looked for: one for each instance


def json_beside(source: str, name: str) -> Json:
    """Return the value of a JSON file in the folder of a source, or in another named from there; None without it.

    Raises:
        InvalidRecordError: It cannot be read, is no JSON, or is far too large for what it is.
    """
    path = os.path.normpath(os.path.join(os.path.dirname(source), name))  # noqa: PTH118, PTH120 - as many as traces
    try:
        status = store_for(path).status(path)
    except (OSError, ValueError):
        return None
    return _read(path, status.size, status.version) if status.kind is FileKind.FILE else None


@lru_cache(maxsize=16)
def _read(path: str, size: int, _version: str) -> Json:
    if size > _LARGEST:
        raise InvalidRecordError("$", f"{path} beside it of at most {_LARGEST:,} bytes", f"one of {size:,}")
    try:
        with store_for(path).open(path) as file:
            return parse(file.read())
    except OSError as error:
        raise InvalidRecordError("$", f"{path} beside it that can be read", error.strerror or str(error)) from None
    except ValueError as error:
        raise InvalidRecordError("$", f"JSON in {path} beside it", f"text that is none ({error})") from None


def has_files_near(path: str, endings: tuple[str, ...]) -> bool:
    """Return whether in the folder of a file, or in one of the first folders in it, a name has one of some endings."""
    folder = os.path.dirname(path) or os.curdir  # noqa: PTH120 - as above
    try:
        found = store_for(folder).list(folder)
        names = [*found.files]
        for inside in sorted(found.folders)[:_FOLDERS]:
            names += store_for(folder).list(os.path.join(folder, inside)).files  # noqa: PTH118 - as above
    except (OSError, ValueError):
        return False
    return any(name.endswith(endings) for name in names)


def accompanies_run(path: str, keys: AbstractSet[str], endings: tuple[str, ...]) -> bool:
    """Return whether a file is the report or predictions of a run whose trajectories, by their endings, are near."""
    is_called_so = path.endswith(("report.json", "preds.json"))
    return is_called_so and not keys & {"messages"} and has_files_near(path, endings)


def stem_of(source: str, *endings: str) -> str | None:
    """Return the name of a source's file without the first of some endings that it has; None for standard input."""
    name = os.path.basename(source)  # noqa: PTH119 - as above
    if name == "-":
        return None
    ending = next((ending for ending in endings if name.endswith(ending)), "")
    return name[: len(name) - len(ending)].encode("utf-8", "backslashreplace").decode()


def resolved_beside(source: str, instance: str) -> bool | None:
    """Return whether a report beside a source says that an instance is resolved; None if none says so.

    Where the folder is named after the instance, as in runs of many, a report of the whole run may stand above it.

    Raises:
        InvalidRecordError: A report cannot be read.
    """
    if source == "-":
        return None
    resolved = resolved_in(json_beside(source, "report.json"), instance)
    folder = os.path.basename(os.path.dirname(source))  # noqa: PTH119, PTH120 - as above
    if resolved is None and folder == instance:
        report = json_beside(source, "../report.json")
        named = isinstance(report, dict) and not isinstance(report.get("resolved"), bool)
        resolved = resolved_in(report, instance) if named else None
    return resolved


def resolved_in(report: Json, instance: str) -> bool | None:
    """Return whether a report of SWE-bench says that an instance is resolved; None if it does not say so.

    A report is of one instance (`resolved`), of several by their ids, or of a whole run (`resolved_ids` and its like).
    """
    if not isinstance(report, dict):
        return None
    own = report.get(instance, report)
    value = own.get("resolved") if isinstance(own, dict) and own.get("instance_id", instance) == instance else None
    if isinstance(value, bool):
        return value
    for name in ("resolved_ids", "resolved"):
        if isinstance(ids := report.get(name), list) and instance in ids:
            return True
    others = ("unresolved_ids", "unresolved", "error_ids", "empty_patch_ids", "completed_ids")
    return False if any(instance in ids for name in others if isinstance(ids := report.get(name), list)) else None


def set_verdict(trace: Trace, resolved: bool | None) -> None:  # noqa: FBT001 - what is set
    """Set what a report says as the verdict and the metric of a trace; nothing if it says nothing."""
    if resolved is not None:
        trace.verdict = "pass" if resolved else "fail"
        trace.metrics = [("resolved", float(resolved))]
