"""What may and must be in tracked files."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.table import STAGES

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".yaml", ".toml", ".lock", ".sh", ".j2", ".json", ".html", ""}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?:extra-)?index-url|find-links|--trusted-host", "packages come from wherever the user's pip says"),
        (r"file:///|(?<![\w.])/(?:home|root|Users|work|opt/pypi)/", "a path of one machine"),
        (r"pickle\.load\(|weights_only\s*=\s*False|trust_remote_code\s*=\s*True", "code hidden in data"),
        (r"0\.0\.0\.0", "servers listen on loopback only"),
    ],
)
def test_no_tracked_file_says(pattern: str, why: str) -> None:
    found = []
    for file in tracked():
        if file.suffix in TEXT and file.is_file() and file != Path(__file__):
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [f"{file.relative_to(ROOT)}: {m[0]}" for m in re.finditer(pattern, text)]
    assert not found, why


def test_the_lock_pins_every_package_by_name_and_version_alone() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))
    assert not [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", line)]


def test_make_has_a_target_for_every_word_of_the_vocabulary() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = (
        "setup demo test check pseudo-labels geometry ground-points bev-labels "
        "pretrain finetune evaluate report teacher serve clean"
    )
    assert set(words.split()) <= targets


def test_make_targets_stop_at_stages_that_exist() -> None:
    assert set(re.findall(r"--until (\w+)", (ROOT / "Makefile").read_text())) <= set(STAGES)


def test_continuous_integration_calls_the_two_targets() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert {"make check", "make test"} <= set(script.read_text().splitlines())


def test_deployments_name_experiments_that_exist() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    configs = {d["name"]: d["parameters"]["request"]["config"] for d in deployments}
    assert set(configs) == {"demo", "nuscenes"}
    assert all((ROOT / "configs" / "experiments" / f"{c}.yaml").is_file() for c in configs.values())


def test_contributing_fits_on_one_screen() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 50


@pytest.mark.parametrize("file", sorted((ROOT / "docs").rglob("*.md")), ids=lambda f: f.name)
def test_links_between_pages_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text())
    gone = [link for link in links if "://" not in link and not (file.parent / link).exists()]
    assert not gone
