"""The source code behind a result: provenance, and a warning when it changed under an unchanged version."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cache.durable import sha256_of
from cache.manifest import Manifest


def source_files(packages: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each .py file of the packages or modules, by path from the folder that holds the top package.

    Raises:
        ModuleNotFoundError: for a name that is no package or module.
    """
    digests: dict[str, str] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no package {package!r}", name=package)
        origin, depth = Path(spec.origin), package.count(".")
        is_package = spec.submodule_search_locations is not None
        base = origin.parents[depth + 1] if is_package else origin.parents[depth]
        for file in sorted(origin.parent.rglob("*.py")) if is_package else [origin]:
            digests[file.relative_to(base).as_posix()] = sha256_of(file)
    return dict(sorted(digests.items()))


def source_digest(packages: Iterable[str]) -> str:
    """One digest (64 hexadecimal digits) over `source_files`."""
    lines = [f"{digest}  {file}" for file, digest in source_files(packages).items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def changed_sources(
    manifest: Manifest,
    packages: tuple[str, ...],
    files_of: Callable[[tuple[str, ...]], Mapping[str, str]] = source_files,
) -> list[str]:
    """Files that were added, removed or changed since the artifact was made; empty where its sources are unknown.

    A key holds the explicit code version, not the source: a comment must not recompute a week of work. So a change
    under an unchanged version is worth a warning, which is the caller's to give.

    Args:
        manifest: of the artifact.
        packages: whose source decides the result.
        files_of: `source_files`, or what remembers its answers where many artifacts are looked at together.
    """
    then = manifest.provenance.get("sources")
    if not then:
        return []
    now = files_of(packages)
    return sorted(file for file in then.keys() | now.keys() if then.get(file) != now.get(file))
