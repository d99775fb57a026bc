"""Builds the toy stage on disks of many sizes, all too small at first. A script: needs a mount namespace of its own.

    unshare --user --map-root-user --mount python small_disk.py FOLDER

Prints a JSON line for each size: how the first attempt ended, and the artifact after more space was given.
"""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

from scene.errors import InputError  # noqa: E402
from tests.cache import toy  # noqa: E402


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def attempt(root: Path) -> dict[str, object]:
    try:
        artifact, found = toy.logged_recipe(root)
    except InputError as error:
        return {"error": str(error), "traces": len(list(root.glob("artifacts/*/*")))}
    return {"output_digest": artifact.output_digest, "found": found}


def main(folder: Path) -> None:
    limits = [f"size={kib}k" for kib in range(4, 60, 4)] + [f"nr_inodes={number}" for number in range(2, 40, 3)]
    for i, limit in enumerate(limits):
        disk = folder / f"disk-{i}"  # the log of units lies beside it
        disk.mkdir()
        mount(disk, limit)
        first = attempt(disk)
        mount(disk, "remount,size=4m,nr_inodes=4096")
        print(json.dumps({"limit": limit, "first": first, "second": attempt(disk)}))
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

    disk = folder / "read-only"
    disk.mkdir()
    mount(disk, "size=4m")
    Path(disk / ".hidden").touch()
    mount(disk, "remount,ro")
    first = attempt(disk)
    mount(disk, "remount,rw")
    print(json.dumps({"limit": "ro", "first": first, "second": attempt(disk)}))
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
