"""A whole study of two steps per training, from world to page."""

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from tests.study.conftest import STUDY

pytestmark = pytest.mark.timeout(300)


def scored_splits(cache):
    manifests = (cache / "artifacts/evaluate").glob("*/manifest.json")
    return Counter(json.loads(file.read_text())["spec"]["settings"]["split"] for file in manifests)


def test_a_study_runs_writes_what_it_found_and_trains_nothing_twice(small, tmp_path):
    setting = {**STUDY["settings"]["B"], "labelled": 1.0}
    setting["candidates"] = {
        "scratch": {name: {"finetune": {"from_random": {"steps": steps}}} for name, steps in (("two", 2), ("six", 6))},
        "pretrained": {"one": {"pretrain": {"optimiser": {"steps": 2}}}},
    }
    overrides = [text for text in small[1:] if text != "--set"]
    overrides += ["data.world.teacher.num_scenes=1", "index.used_splits=[train, val, teacher]", "runtime.num_jobs=1"]
    study = {**STUDY, "settings": {"B": setting}, "overrides": overrides}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "study", str(tmp_path / "study.yaml"), "--reports", str(tmp_path / "reports")]
    environment = {**os.environ, "BEVPRIOR_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    summary = json.loads((tmp_path / "reports/tiny/summary.json").read_text())
    wanted = {
        "setting",
        "arm",
        "label_fraction",
        "labelled_scenes",
        "unlabelled_scenes",
        "seed",
        "steps",
        "wall_s",
        "cpu_s",
    }
    wanted |= {"peak_memory_bytes", "miou", "per_class", "per_distance", "per_visibility"}
    assert all(wanted <= run.keys() for run in summary["runs"])
    found = sorted((run["part"], run["arm"], run["label_fraction"], run["seed"]) for run in summary["runs"])
    curve = [("curve", "pretrained", fraction) for fraction in (0.0, 0.5, 1.0)]
    curve += [("curve", "scratch", fraction) for fraction in (0.5, 1.0)]
    rest = [("ablation", "no temporal loss", 0.0), ("time", "scratch", 1.0)]
    assert found == sorted((*point, seed) for point in (*curve, *rest) for seed in (0, 1))
    tried = {run["variant"]: run for run in summary["tried"]}
    assert {(name, run["seed"], run["part"]) for name, run in tried.items()} == {
        (name, STUDY["tuning_seeds"][0], "tuning") for name in ("two", "six")
    }
    best = max(tried.values(), key=lambda run: run["miou"])
    assert summary["chosen"]["B, scratch"] == best["variant"]
    assert {r["steps"] for r in summary["runs"] if (r["part"], r["arm"]) == ("curve", "scratch")} == {best["steps"]}
    assert scored_splits(tmp_path / "cache") == {"teacher": len(tried), "val": len(summary["runs"])}
    whole = next(
        r for r in summary["runs"] if (r["part"], r["arm"], r["label_fraction"]) == ("curve", "pretrained", 1.0)
    )
    assert (whole["steps"], whole["labelled_scenes"], whole["unlabelled_scenes"]) == (5, 2, 2)
    claims = {claim["name"]: claim for claim in summary["claims"]}
    assert claims["ground"]["value"] > 0.9
    assert len(claims["gain"]["per_seed"]) == 2
    assert claims["few_labels"]["value"] is None
    page = (tmp_path / "reports/tiny/index.html").read_text()
    assert re.search(r"<b>\d of \d claims are not reached", page)
    assert page.count("data:image/png;base64") == 2

    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert not re.search(r"^made ", again.stdout, re.MULTILINE)
    assert json.loads((tmp_path / "reports/tiny/summary.json").read_text()) == summary
