"""Writes requirements.lock: the exact version of everything this project's extras pull in, as installed in .venv.

Names and versions only: where packages come from is the user's pip configuration. A local version label (the `+cpu`
of a torch build) is dropped, so that the same lock installs the CPU or the CUDA build.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEADER = "# Exact versions of everything, transitive packages included. `make lock` writes this file from .venv.\n"
BUILD = ("setuptools",)


def closure(root: str, extras: frozenset[str]) -> set[str]:
    """Canonical names of the distributions that `root[extras]` needs here, without `root` itself."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(root), extras), *((name, frozenset()) for name in BUILD)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in seen} - {canonicalize_name(root)}


def main() -> None:
    """Writes the file and says how many packages it pins."""
    pins = {name: distribution(name).version.partition("+")[0] for name in closure("bevprior", frozenset({"dev"}))}
    Path("requirements.lock").write_text(HEADER + "".join(f"{n}=={v}\n" for n, v in sorted(pins.items())))
    sys.stdout.write(f"requirements.lock: {len(pins)} packages\n")


if __name__ == "__main__":
    main()
