"""Writes requirements.lock: the exact version of everything this project's extras pull in, as installed in .venv.

Names and versions only: where packages come from is the user's pip configuration. A local version label (the `+cpu`
of a torch build) is dropped, so that the same lock installs the CPU or the CUDA build.
"""

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEADER = "# Exact versions of everything, transitive packages included. `make lock` writes this file from .venv.\n"


def wanted(pyproject: Path) -> list[str]:
    """The requirements of the project, of its development extra and of its build."""
    document = tomllib.loads(pyproject.read_text())
    project = document["project"]
    build: list[str] = document["build-system"]["requires"]
    return [*build, *project["dependencies"], *project["optional-dependencies"]["dev"]]


def closure(requirements: list[str]) -> set[str]:
    """Canonical names of the distributions that `requirements` need here."""
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        extras = frozenset(requirement.extras)
        marked = (canonicalize_name(requirement.name), extras)
        if marked in seen:
            continue
        seen.add(marked)
        for text in distribution(requirement.name).requires or ():
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                waiting.append(inner)
    return {name for name, _ in seen}


def main() -> None:
    """Writes the file and says how many packages it pins."""
    names = closure(wanted(Path("pyproject.toml")))
    pins = [f"{name}=={distribution(name).version.partition('+')[0]}\n" for name in sorted(names)]
    Path("requirements.lock").write_text(HEADER + "".join(pins))
    sys.stdout.write(f"requirements.lock: {len(pins)} packages\n")


if __name__ == "__main__":
    main()
