"""Which scenes are used, and for what."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from scene.errors import InputError
from stages.prepare.index import Split

SPLITS_FILE = "splits.json"
_OFFICIAL = {
    "v1.0-trainval": {"train": "train", "val": "val"},
    "v1.0-mini": {"train": "mini_train", "val": "mini_val"},
    "v1.0-test": {"test": "test"},
}


def split_of_scenes(
    split: Split, used_splits: Sequence[str], version: str, data_root: Path, known: set[str]
) -> dict[str, str]:
    """The split of each scene that is used, by scene name.

    Args:
        split, used_splits: see `IndexSettings`.
        known: names of the scenes in the data set.

    Raises:
        InputError: if a list names a scene that the data set lacks, a scene is in two splits (its val score would be
            a train score), or no scene is left. Official lists may name more scenes than a partial copy holds.
    """
    if split == "all_train":
        return dict.fromkeys(sorted(known), "train")
    lists: Mapping[str, Sequence[str]]
    if split == "official":
        lists, where = _official(version), f"the devkit's lists for {version}"
    elif split == "dataset":
        where = str(data_root / SPLITS_FILE)
        lists = {name: scenes for name, scenes in _from_file(data_root / SPLITS_FILE).items() if name in used_splits}
    else:
        lists, where = split, "index.split"
    result: dict[str, str] = {}
    for name, scenes in lists.items():
        for scene in scenes:
            if result.setdefault(scene, name) != name:
                fix = "keep it in one of them"
                raise InputError(f"scene {scene} is in both {result[scene]} and {name}", where=where, fix=fix)
    missing = sorted(set(result) - known)
    if missing and split != "official":
        listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise InputError(
            f"the split names scenes that the data set lacks: {listed}", where=where, fix="take them off the list"
        )
    result = {scene: name for scene, name in result.items() if scene in known}
    if not result:
        fix = "choose split: all_train, or list the scenes to use"
        raise InputError("no scene of the data set is in any split", where=where, fix=fix)
    return result


def _official(version: str) -> dict[str, Sequence[str]]:
    if version not in _OFFICIAL:
        raise InputError(
            f"there is no official split for {version!r}",
            where="index.split",
            fix=f"choose split: dataset or all_train, or a version of {sorted(_OFFICIAL)}",
        )
    from nuscenes.utils.splits import create_splits_scenes  # a second's import, needed by this choice alone

    lists = create_splits_scenes()
    return {ours: lists[theirs] for ours, theirs in _OFFICIAL[version].items()}


def _from_file(file: Path) -> dict[str, list[str]]:
    fix = 'write {"train": [scene names], "val": [...]} there, or choose another index.split'
    try:
        lists = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("the data set brings no split of its own", where=str(file), fix=fix) from None
    except (OSError, ValueError) as error:
        raise InputError(f"the split file cannot be read ({error})", where=str(file), fix=fix) from None
    sound = isinstance(lists, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists.values()
    )
    if not sound:
        raise InputError("the split file is no object of lists of scene names", where=str(file), fix=fix)
    return dict(lists)
