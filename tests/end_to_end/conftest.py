"""A tiny teacher, and the command line to run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.program import BEVPRIOR, Run, environment

TEACHER = """
import sys
import torch
from models.teachers.embedded import build_embedded_teacher
from models.teachers.settings import EmbeddedTeacherSettings
from synthetic.contents import Semantic

torch.manual_seed(0)
small = EmbeddedTeacherSettings(stem_channels=8, stage_channels=(8, 8, 16, 16), stage_depths=(1, 1, 1, 1),
    feature_channels=32, feedforward_channels=32, pixel_layers=1, query_layers=1, num_heads=2)
build_embedded_teacher(small, tuple(s.name.lower() for s in Semantic)).save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Mask2Former of random weights: it knows nothing, and answers fast."""
    folder = tmp_path_factory.mktemp("teacher")
    subprocess.run([sys.executable, "-c", TEACHER, str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def small(teacher: Path) -> list[str]:
    """Arguments that give the smoke experiment that teacher."""
    source, size = f"teacher_labels.teacher.source={teacher}", "teacher_labels.teacher.image_hw_px=[96, 192]"
    unsure = "ground_points.min_confidence=0"  # as it knows nothing
    return ["smoke", "--set", source, "--set", size, "--set", unsure, "--set", "runtime.num_workers=1"]


@pytest.fixture(scope="session")
def bevprior() -> Run:
    """Runs `bevprior` with a cache and a working directory of the caller's choice."""

    def run(*arguments: str, cache: Path, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BEVPRIOR, *arguments],
            cwd=cwd,
            env=environment(cache),
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run
