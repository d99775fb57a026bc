"""The house rules that a tool can check: floors, package names, what is imported when."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from pipeline.table import STAGES, stage
from stages.stage import resolve

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PYPROJECT["tool"]["importlinter"]["root_packages"]


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_rooms_import_only_from_lower_floors() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_contract_lists_exceptions() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    assert not [c["name"] for c in contracts if "ignore_imports" in c]


def test_every_room_is_a_package_of_the_distribution() -> None:
    included = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    rooms = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert rooms == set(PACKAGES) == {pattern.removesuffix("*") for pattern in included}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_ships_a_package_of_our_name(package: str) -> None:
    others = [d for d in packages_distributions().get(package, []) if d != "bevprior"]
    assert not others, f"{others} also install a top-level package {package!r}: it would shadow ours, or ours it"


def test_the_command_line_starts_without_torch_and_prefect() -> None:
    heavy = {"torch", "prefect", "transformers", "nuscenes", "zarr", "dask"}
    assert not heavy & loaded_by("from pipeline import cli")


def test_planning_imports_nothing_heavy() -> None:
    code = f"from pipeline.table import stage\nfor name in {list(STAGES)}: stage(name)"
    assert not {"torch", "prefect", "transformers", "nuscenes", "cv2"} & loaded_by(code)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_what_its_description_says(name: str) -> None:
    described = stage(name)
    assert described.name == name
    assert callable(resolve(described.entry))
    assert described.fingerprint is None or callable(resolve(described.fingerprint))
    assert described.sources, "a change of its source would go unnoticed"
