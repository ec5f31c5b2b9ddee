"""What evaluations of OpenHands' instances say beside them: `output.swebench_eval.jsonl`, and SWE-bench's report."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from polars_export.inputs.side_files import has_files_near, json_beside, resolved_in
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.sources.store import FileKind, store_for

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["accompanies_output", "resolved_beside_output"]

_EVALUATION = ".swebench_eval.jsonl"
_SIDE_FILES = {
    "metadata.json": {"agent_class", "llm_config"},
    "report.json": {"resolved_ids", "resolved_instances"},
}
"""Files beside an output, and keys of which they have one."""


class _Result(Struct, gc=False):
    report: Any = None


class _Line(Struct, gc=False):
    """What is needed of a line of an evaluation; the tests' output, nearly all of it, is skipped."""

    instance_id: Any = None
    test_result: _Result | None = None


def resolved_beside_output(source: str, instance: str) -> bool | None:
    """Return whether an evaluation beside a source says that an instance is resolved; None if none says so.

    Raises:
        InvalidRecordError: An evaluation cannot be read.
    """
    if source == "-":
        return None
    if source.endswith(".jsonl") and not source.endswith(_EVALUATION):
        path = source.removesuffix(".jsonl") + _EVALUATION
        try:
            status = store_for(path).status(path)
        except (OSError, ValueError):
            status = None
        if status and status.kind is FileKind.FILE:
            resolved = _evaluated(path, status.size, status.version).get(instance)
            if resolved is not None:
                return resolved
    return resolved_in(json_beside(source, "report.json"), instance)


def accompanies_output(path: str, keys: AbstractSet[str]) -> bool:
    """Return whether a file is an evaluation, or the configuration, of an output beside it."""
    name = path.replace("\\", "/").rpartition("/")[2]
    if name.endswith((_EVALUATION, ".swebench.jsonl")):
        return "instance_id" in keys and has_files_near(path, (f"{name.partition('.swebench')[0]}.jsonl",))
    return bool(_SIDE_FILES.get(name, set()) & keys) and has_files_near(path, ("output.jsonl",))


@lru_cache(maxsize=4)
def _evaluated(path: str, _size: int, _version: str) -> dict[str, bool]:
    """Return for each instance of an evaluation whether it is resolved; of several lines the last counts."""
    decode = msgspec.json.Decoder(_Line).decode
    found: dict[str, bool] = {}
    number = 0
    try:
        with store_for(path).open(path) as file:
            for number, text in enumerate(file, 1):  # noqa: B007 - an error says it
                line = decode(text) if text.strip() else _Line()
                resolved = resolved_in(line.test_result.report, "") if line.test_result else None
                if isinstance(line.instance_id, str) and resolved is not None:
                    found[line.instance_id] = resolved
    except OSError as error:
        raise InvalidRecordError("$", f"{path} beside it that can be read", error.strerror or str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRecordError(
            "$", f"evaluations in {path} beside it", f"a line {number} that is none ({error})"
        ) from None
    return found
