"""What is wrong with a plan as a whole is told before anything runs, and not when a step's turn comes."""

from pipeline.layers import Layers
from pipeline.plan import Plan
from scene.errors import InputError
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import FinetuneSettings
from stages.learn.predict import PredictSettings
from stages.learn.predict.fingerprint import grid_of_model
from stages.learn.pretrain import PretrainSettings
from stages.prepare.geometry import GeometrySettings
from stages.prepare.index import IndexSettings
from trainer.settings import check_split


def check_plan(plan: Plan, layers: Layers, num_processes: int) -> None:
    """Raises InputError for batches that cannot be split, a split that nobody makes, a grid that no queries cover, or a
    saved model that is not there or predicts on another grid.

    Args:
        plan: the steps.
        layers: where their settings are written.
        num_processes: of each training.
    """
    _check_batches(plan, num_processes)
    _check_splits(plan, layers)
    _check_queries(plan, layers)
    _check_saved_model(plan, layers)


def _check_batches(plan: Plan, num_processes: int) -> None:
    """Raises InputError for a training whose batches cannot be split: now, and not when its turn comes."""
    for step in plan:
        if isinstance(step.settings, PretrainSettings | FinetuneSettings):
            settings = step.settings
            check_split(settings.batch_parts, num_processes, settings.optimiser.gradient_accumulation)


def _check_splits(plan: Plan, layers: Layers) -> None:
    """Raises InputError for a stage that asks for a split that the index will not have: not after all trainings."""
    index = next((step.settings for step in plan if isinstance(step.settings, IndexSettings)), None)
    for step in plan:
        split = getattr(step.settings, "split", None)
        if index is None or step.settings is index or not isinstance(split, str) or split in index.names_of_splits:
            continue
        fix = f"choose one of {', '.join(index.names_of_splits)}, or list its scenes in index.split"
        where = layers.place_of((step.stage.name, "split"))
        raise InputError(f"no scene will be in the split {split!r}", where=where, fix=fix)


def _check_queries(plan: Plan, layers: Layers) -> None:
    """Raises InputError for a grid that a model's BEV queries do not cover: now, and not when a training begins."""
    for step in plan:
        if isinstance(step.settings, PretrainSettings | FinetuneSettings | EvaluateSettings):
            grid, factor = step.settings.grid, step.settings.model.query_factor
            try:
                grid.coarser(factor)
            except ValueError:
                what = f"queries of {factor} x {factor} cells do not cover a grid of {grid.shape[0]} x {grid.shape[1]}"
                where = layers.place_of(("model", "query_factor"))
                raise InputError(what, where=where, fix="give a divisor of both, or another grid") from None


def _check_saved_model(plan: Plan, layers: Layers) -> None:
    geometry = next((step.settings for step in plan if isinstance(step.settings, GeometrySettings)), None)
    for step in plan:
        if isinstance(step.settings, PredictSettings) and geometry is not None:
            grid = grid_of_model(step.settings)
            if grid != geometry.grid:
                what = f"the saved model predicts on a grid of {grid.canonical()}"
                raise InputError(what, where=layers.place_of(("grid",)), fix="give the experiment the same grid")
