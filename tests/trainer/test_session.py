import numpy as np
import pytest
import torch

from models.objectives.reprojection.config import ReprojectionConfig
from models.objectives.reprojection.objective import ReprojectionObjective
from scene.errors import InputError
from scene.grid import BevGrid
from tests.flat_world import GRID, SCHEMA
from tests.trainer import tiny
from trainer.batches import Pool
from trainer.process import Process
from trainer.session import CALIBRATION_FRAMES, batch_maker, open_reader

CPU = torch.device("cpu")
FRAMES = np.arange(9)


@pytest.fixture
def job(dataset, tmp_path):
    return tiny.job(dataset, tmp_path / "training", tiny.pretrain_settings())


def test_the_processes_share_the_batch_that_one_would_make(job):
    settings = tiny.pretrain_settings()
    reader = open_reader(settings, job, Process(CPU))
    pools = [Pool(FRAMES, 2, labelled=True, prepared=False)]
    whole = batch_maker(settings, reader, pools, None, Process(CPU)).batch(3)
    parts = [batch_maker(settings, reader, pools, None, Process(CPU, rank, 2)).batch(3) for rank in (0, 1)]
    assert [int(part.frame[0]) for part in parts] == whole.frame.tolist()
    assert torch.equal(torch.cat([part.clip.frames[-1].images for part in parts]), whole.clip.frames[-1].images)


def test_an_objective_takes_its_statistics_before_the_first_batch(job):
    class Counting(ReprojectionObjective):
        samples = 0

        def calibrate(self, samples):
            self.samples = len(samples)
            super().calibrate(samples)

    settings = tiny.pretrain_settings()
    objective = Counting(ReprojectionConfig(points_per_frame=100), SCHEMA, GRID)
    pools = [Pool(FRAMES, 2, labelled=False, prepared=True)]
    batch_maker(settings, open_reader(settings, job, Process(CPU)), pools, objective, Process(CPU))
    assert objective.samples == min(CALIBRATION_FRAMES, len(FRAMES))


@pytest.mark.parametrize(
    ("changes", "num_processes", "says"),
    [
        ({"grid": BevGrid(x_range_m=(-12.0, 12.0), y_range_m=(-8.0, 6.0), resolution_m=0.5)}, 1, "symmetric grid"),
        ({"optimiser": tiny.optimiser(batch_size=3)}, 2, "cannot be split over 2 processes"),
        ({"grid": BevGrid(x_range_m=(-6.0, 6.0), y_range_m=(-8.0, 8.0), resolution_m=0.5)}, 1, "not of the grid"),
    ],
)
def test_settings_that_do_not_fit_are_told_before_anything_is_trained(job, changes, num_processes, says):
    with pytest.raises(InputError, match=says):
        open_reader(tiny.pretrain_settings(**changes), job, Process(CPU, 0, num_processes))
