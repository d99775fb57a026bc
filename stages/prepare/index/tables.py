"""Reading nuScenes tables: where they are, row by row, each row checked against what the index needs of it.

The devkit is not used here: it dies at the first fault without naming the row, and it keeps all of the 2.6 million
`sample_data` rows of trainval in memory. It is the oracle in the tests.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from scene.errors import InputError
from stages.prepare.index.problems import Problems

Row = dict[str, Any]
_CHUNK_CHARS = 1 << 24
_SEPARATOR = re.compile(r"\s*,\s*")
_SPACE = re.compile(r"\s*")
_UNIT_TOLERANCE = 1e-3

COLUMNS: dict[str, dict[str, str]] = {
    "sensor": {"token": "token", "channel": "token", "modality": "token"},
    "log": {"token": "token", "location": "token"},
    "scene": {
        "token": "token",
        "name": "token",
        "log_token": "token",
        "nbr_samples": "integer",
        "first_sample_token": "token",
        "last_sample_token": "token",
    },
    "sample": {"token": "token", "timestamp": "integer", "scene_token": "token", "prev": "text", "next": "text"},
    "calibrated_sensor": {
        "token": "token",
        "sensor_token": "token",
        "translation": "vector",
        "rotation": "quaternion",
    },
    "sample_data": {
        "token": "token",
        "sample_token": "token",
        "ego_pose_token": "token",
        "calibrated_sensor_token": "token",
        "timestamp": "integer",
        "is_key_frame": "flag",
        "filename": "path",
        "prev": "text",
        "next": "text",
    },
    "ego_pose": {"token": "token", "translation": "vector", "rotation": "quaternion"},
}
"""What the index reads of each table, by kind of value (`_fault`). Other tables and columns are never opened."""

CAMERA_COLUMNS = {"camera_intrinsic": "intrinsics"}
IMAGE_COLUMNS = {"width": "size", "height": "size"}


def locate_tables(data_root: Path, version: str) -> Path:
    """The folder of the JSON tables.

    Raises:
        InputError: if the data root does not look like nuScenes, or lacks this version.
    """
    fix = f"set the data root to the folder that holds {version}/, samples/ and maps/"
    if not data_root.is_dir():
        raise InputError("the data root is no folder", where=str(data_root), fix=fix)
    tables_dir = data_root / version
    if not tables_dir.is_dir():
        others = sorted(p.name for p in data_root.glob("v*") if (p / "sample.json").is_file())
        if others:
            fix = f"it holds {', '.join(others)}: set the index's version to that, or the data root to another folder"
            raise InputError(f"the data root has no {version}", where=str(data_root), fix=fix)
        raise InputError("the data root holds no nuScenes data set", where=str(data_root), fix=fix)
    if not any((tables_dir / f"{table}.json").is_file() for table in COLUMNS):
        raise InputError("the version's folder holds no nuScenes tables", where=str(tables_dir), fix=fix)
    return tables_dir


def read_rows(
    tables_dir: Path, table: str, problems: Problems, advance: Callable[[int], object] = lambda _: None
) -> Iterator[Row]:
    """The rows of a table, unchecked but for being JSON objects; a table that cannot be read is reported and ends.

    `advance` is called with the number of characters read, for a progress bar.
    """
    file = tables_dir / f"{table}.json"
    try:
        with file.open(encoding="utf-8") as stream:
            for number, row in enumerate(_array_items(stream, advance)):
                if isinstance(row, dict):
                    yield row
                else:
                    problems.report(table, f"row {number}", "is no JSON object")
    except FileNotFoundError:
        problems.report_table(table, f"{file.name} is missing")
    except (OSError, UnicodeDecodeError) as error:
        problems.report_table(table, f"{file.name} cannot be read ({error})")
    except json.JSONDecodeError as error:
        problems.report_table(
            table, f"{file.name} is malformed JSON or truncated ({error.msg} at character {error.pos})"
        )


def _array_items(stream: TextIO, advance: Callable[[int], object]) -> Iterator[Any]:
    """Items of a top-level JSON array, decoded one by one from a text stream in bounded memory."""
    decoder = json.JSONDecoder()
    buffer, position, done_chars, first = "", 0, 0, True

    def fill() -> bool:
        nonlocal buffer, position, done_chars
        chunk = stream.read(_CHUNK_CHARS)
        done_chars += position
        buffer, position = buffer[position:] + chunk, 0
        advance(len(chunk))
        return bool(chunk)

    fill()
    position = _end(_SPACE, buffer, 0)
    if buffer[position : position + 1] != "[":
        raise json.JSONDecodeError("a table is a JSON array", buffer, position)
    position += 1
    while True:
        start = _end(_SPACE if first else _SEPARATOR, buffer, position)
        closing = _end(_SPACE, buffer, position)
        if buffer[closing : closing + 1] == "]":
            return
        try:
            if start < 0:
                raise json.JSONDecodeError("',' or ']' expected", buffer, position)
            item, end = decoder.raw_decode(buffer, start)
        except json.JSONDecodeError as error:
            # Either the chunk ends inside this item, or the file is broken; no row is as long as a chunk.
            if len(buffer) - position > _CHUNK_CHARS or not fill():
                raise json.JSONDecodeError(error.msg, "", done_chars + error.pos) from None
            continue
        yield item
        position, first = end, False


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else -1


def check_row(table: str, row: Row, problems: Problems, frames: tuple[str, ...] = (), **more: str) -> bool:
    """Whether a row has every column of `COLUMNS[table]` and of `more`, with a usable value; reports each that is not.

    `frames` are the keyframes that depend on the row, where they are known already.
    """
    token = text_of(row, "token")
    sound = True
    for column, kind in {**COLUMNS[table], **more}.items():
        if fault := _fault(row.get(column), kind) if column in row else "is missing":
            problems.report(table, token or "without token", f"{column} {fault}", frames)
            sound = False
    return sound


def text_of(row: Row, column: str) -> str:
    """A column's text, "" where it is missing or something else."""
    value = row.get(column)
    return value if isinstance(value, str) else ""


def _fault(value: Any, kind: str) -> str:
    """Why a value is not of a kind, "" where it is."""
    if kind in ("text", "token", "path"):
        return _text_fault(value, kind)
    if kind == "flag":
        return "" if isinstance(value, bool) else f"is not true or false but {value!r}"
    if kind in ("integer", "size"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and (kind == "integer" or value > 0) else f"is no whole number above 0 but {value!r}"
    rows = value if kind == "intrinsics" else [value]
    shape = {"vector": (1, 3), "quaternion": (1, 4), "intrinsics": (3, 3)}[kind]
    if not _is_matrix(rows, shape):
        return f"is not {shape[1]} numbers" if kind != "intrinsics" else "is not 3 x 3 numbers"
    if not all(math.isfinite(x) for r in rows for x in r):
        return "holds NaN or infinity"
    if kind == "quaternion" and abs((norm := math.hypot(*value)) - 1) > _UNIT_TOLERANCE:
        return f"is no unit quaternion (its norm is {norm:.6g})"
    if kind == "intrinsics" and (value[2] != [0, 0, 1] or value[0][0] <= 0 or value[1][1] <= 0):
        return "is no pinhole matrix with positive focal lengths and last row 0 0 1"
    return ""


def _text_fault(value: Any, kind: str) -> str:
    if not isinstance(value, str) or (kind != "text" and not value):
        return f"is no text but {value!r}" if not isinstance(value, str) else "is empty"
    if kind == "path" and (Path(value).is_absolute() or ".." in Path(value).parts):
        return f"{value!r} leads out of the data root"
    return ""


def _is_matrix(rows: Any, shape: tuple[int, int]) -> bool:
    return (
        isinstance(rows, list)
        and len(rows) == shape[0]
        and all(isinstance(row, list) and len(row) == shape[1] for row in rows)
        and all(isinstance(x, int | float) and not isinstance(x, bool) for row in rows for x in row)
    )
