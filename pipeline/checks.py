"""What is wrong with a plan as a whole is told before anything runs, and not when a step's turn comes."""

from pipeline.layers import Layers
from pipeline.plan import Plan
from scene.errors import InputError
from scene.grid import BevGrid
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import FinetuneSettings
from stages.learn.predict import PredictSettings
from stages.learn.pretrain import PretrainSettings
from stages.prepare.geometry import GeometrySettings
from stages.prepare.index import IndexSettings
from stages.saved_model import SavedModel, read_saved_model
from trainer.settings import check_split


def check_plan(plan: Plan, layers: Layers, num_processes: int) -> None:
    """Raises InputError for batches that cannot be split, a split that nobody makes, a grid that no queries cover, or a
    saved model that is not there or does not fit.

    Args:
        plan: the steps.
        layers: where their settings are written.
        num_processes: of each training.
    """
    _check_batches(plan, num_processes)
    _check_splits(plan, layers)
    _check_queries(plan, layers)
    _check_saved_model(plan, layers)
    _check_initial_models(plan, layers)


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
        watched = getattr(step.settings, "validation", None)
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


def _check_saved_model(plan: Plan, layers: Layers) -> None:
    geometry = next((step.settings for step in plan if isinstance(step.settings, GeometrySettings)), None)
    for step in plan:
        if isinstance(step.settings, PredictSettings) and geometry is not None:
            _check_grid(read_saved_model(step.settings.saved_model), geometry.grid, layers)


MAY_DIFFER = {
    "image_hw_px", "backbone", "pretrained_neck", "dropout", "initial_offset_cells", "history", "drop_history_frame"
}  # fmt: skip
"""Settings in which a saved trunk may differ from ours. Whether its backbone fits is seen when weights are read."""


def _check_initial_models(plan: Plan, layers: Layers) -> None:
    """Raises InputError for a saved model whose weights cannot begin a training, or be scored: before any labelling."""
    for step in plan:
        settings = step.settings
        if not isinstance(settings, PretrainSettings | FinetuneSettings | EvaluateSettings):
            continue
        if settings.initial_model is None:
            continue
        saved = read_saved_model(settings.initial_model)
        _check_grid(saved, settings.grid, layers)
        theirs, ours = saved.model.canonical(), settings.model.canonical()
        for name in sorted(ours.keys() - MAY_DIFFER):
            if theirs[name] != ours[name]:
                what = f"the saved model has {name} {theirs[name]}, this one {ours[name]}"
                fix = "give the experiment the saved one's"
                raise InputError(what, where=layers.place_of(("model", name)), fix=fix)
        if isinstance(settings, EvaluateSettings) and saved.label_schema.names != settings.label_schema.names:
            what = f"the saved model predicts other classes: {', '.join(saved.label_schema.names)}"
            fix = "train it first: give the arm a label_fraction or pretrained"
            raise InputError(what, where=layers.place_of(("schema",)), fix=fix)


def _check_grid(saved: SavedModel, grid: BevGrid, layers: Layers) -> None:
    if saved.grid != grid:
        what = f"the saved model predicts on a grid of {saved.grid.canonical()}"
        raise InputError(what, where=layers.place_of(("grid",)), fix="give the experiment the same grid")
