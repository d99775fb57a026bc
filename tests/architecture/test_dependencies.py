"""What is imported is declared, and what is declared is locked."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WITH_CUDA = {"triton"}
"""What comes with the CUDA builds of torch, and is done without elsewhere."""
OWN = {folder.name for folder in ROOT.iterdir() if folder.is_dir()} | {"toy_stages"}


def names(requirements: list[str]) -> set[str]:
    """Names of requirements as package registries compare them."""
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


RUNTIME = names(PROJECT["dependencies"])
EVERYTHING = RUNTIME | names(PROJECT["optional-dependencies"]["dev"])


def imports(file: Path) -> Iterator[str]:
    """Top-level modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("room", sorted(folder.parent.name for folder in ROOT.glob("*/__init__.py")))
def test_a_room_imports_only_declared_distributions(room: str) -> None:
    check(room, RUNTIME)


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "faults", "scripts"])
def test_what_is_not_installed_may_use_the_development_extra(folder: str) -> None:
    check(folder, EVERYTHING)


def check(folder: str, declared: set[str]) -> None:
    providers = packages_distributions()
    missing = {
        (module, str(file.relative_to(ROOT)))
        for file in (ROOT / folder).rglob("*.py")
        for module in imports(file)
        if module not in sys.stdlib_module_names | OWN | WITH_CUDA and not names(providers.get(module, [])) & declared
    }
    assert not missing


def test_everything_declared_is_locked() -> None:
    locked = names((ROOT / "requirements.lock").read_text().splitlines())
    assert not EVERYTHING - locked
