"""What is wrong with a plan as a whole is told before anything runs, and not when a step's turn comes."""

from pipeline.config import Data, Experiment
from pipeline.layers import Layers
from pipeline.plan import Plan
from pipeline.saved_models import check_saved_models
from scene.errors import InputError
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import PretrainSettings
from stages.prepare.index import IndexSettings
from trainer.settings import check_split


def check_plan(plan: Plan, layers: Layers, experiment: Experiment) -> None:
    """Raises InputError for BEV labels without a map, batches that cannot be split, a split that nobody makes, a grid
    that no queries cover, or a saved model that is not there or does not fit.

    Args:
        plan: the steps.
        layers: where their settings are written.
        experiment: what was asked for.
    """
    _check_map(plan, layers, experiment.data)
    _check_batches(plan, experiment.runtime.num_processes)
    _check_splits(plan, layers)
    _check_queries(plan, layers)
    check_saved_models(plan, layers)


def _check_map(plan: Plan, layers: Layers, data: Data) -> None:
    """Raises InputError for BEV labels of a data set without a map: before anything is labelled."""
    if not data.has_map and "bev_labels" in plan.stage_names:
        fix = "end with a stage that needs none: look, predict, or pretrain without validation"
        where = layers.place_of(("data", "has_map"))
        raise InputError("there is no map to make BEV labels of", where=where, fix=fix)


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
        if index is None or step.settings is index:
            continue
        watched = getattr(step.settings, "watched", None)
        asked: dict[tuple[str, ...], object] = {("split",): getattr(step.settings, "split", None)}
        if watched is not None:
            asked["validation", "split"] = watched.split
        for place, split in asked.items():
            if isinstance(split, str) and split not in index.names_of_splits:
                fix = f"choose one of {', '.join(index.names_of_splits)}, or list its scenes in index.split"
                where = layers.place_of((step.stage.name, *place))
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
