"""Where and with what an artifact was made. Shown to people, never part of a key or digest."""

import platform
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTION = "bevprior"


def describe_environment() -> dict[str, Any]:
    """Time, git commit (None outside a checkout), Python, platform, and the versions of what we depend on."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _package_versions(),
    }


def _git_commit() -> str | None:
    """The commit of the checkout this file lies in, with "+changes" where files differ from it."""
    here = Path(__file__).parent
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(here),
        "describe",
        "--always",
        "--abbrev=40",
        "--exclude=*",
        "--dirty=+changes",
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


@cache
def _package_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return versions
    for requirement in requirements:
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match and "extra ==" not in requirement:
            versions[match[0]] = metadata.version(match[0])
    return dict(sorted(versions.items()))
