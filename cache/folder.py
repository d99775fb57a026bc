"""The folder of a cache: how it is known to be one, and made."""

import json
from pathlib import Path

from cache.durable import write_atomically
from scene.errors import InputError

LAYOUT = 2
MARKER_FILE = "bevprior-cache.json"
MARKER = json.dumps({"layout": LAYOUT}).encode()


def check_marker(content: bytes, where: str) -> None:
    """Refuses the marker of another layout, and what is none.

    Raises:
        InputError: for those.
    """
    try:
        layout = json.loads(content)["layout"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("not the marker of a cache", where=where, fix="name another folder") from error
    if layout != LAYOUT:
        whose = "a newer" if layout > LAYOUT else "an older"
        fix = "use that version, or another cache folder"
        raise InputError(f"cache written by {whose} version (layout {layout})", where=where, fix=fix)


def check_folder(root: Path) -> None:
    """Refuses a folder that holds something else, without a change to it.

    Raises:
        InputError: for a folder that is no cache and not empty, or the cache of another layout.
    """
    marker = root / MARKER_FILE
    if marker.exists():
        check_marker(marker.read_bytes(), str(root))
    elif root.exists():
        ours = (".", "lost+found", MARKER_FILE)  # hidden files, a new disk, a marker that is just being written
        foreign = not root.is_dir() or any(not entry.name.startswith(ours) for entry in root.iterdir())
        if foreign and not marker.exists():  # another process may have made the cache since the first look
            raise InputError("not a cache, and not empty", where=str(root), fix="name an empty or a new folder")


def create_folder(root: Path) -> None:
    """Makes the cache where it is not there.

    Raises:
        InputError: if a file is in the way.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError("a file is where a folder should be", where=str(root), fix="name another") from error
    if not (root / MARKER_FILE).exists():
        write_atomically(root / MARKER_FILE, MARKER)
