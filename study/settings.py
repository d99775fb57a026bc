"""What a study file may say."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from pipeline.config import load_experiment
from pipeline.faults import parse_settings
from pipeline.layers import find_config, read_layers
from pipeline.places import shown
from scene.errors import InputError
from scene.settings import Settings
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import PretrainSettings
from stages.learn.report import Changes

Kind = Literal["scratch", "pretrained"]
Clock = Literal["cpu_s", "wall_s"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Setting(Settings):
    """How many labels there are beside the unlabelled pool, which is every scene of the split `train`.

    Attributes:
        title: what the reader sees.
        labelled: share of the pool's scenes that has labels: what "100 %" means here.
        fractions: by kind, label fractions of the curve, of the labelled scenes; 0 is pretraining alone.
        candidates: by kind, the settings that are tried; the one that scores best on the tuning towns is taken.
        ablations: names of the study's ablations that are run here, or "all". Each is compared with what is shown of
            its kind: from scratch with all labels; pretrained without labels, or with half of them where it changes
            the fine-tuning or pretraining alone is not shown.
        lengths: by kind, further lengths for the curve over time, as changes.
    """

    title: str
    labelled: Annotated[float, Field(gt=0, le=1)]
    fractions: dict[Kind, tuple[Fraction, ...]]
    candidates: dict[Kind, dict[str, Changes]]
    ablations: tuple[str, ...] | Literal["all"] = ()
    lengths: dict[Kind, dict[str, Changes]] = Field(default={})

    @model_validator(mode="after")
    def _kinds_have_candidates(self) -> "Setting":
        if strange := sorted({*self.fractions, *self.lengths} - self.candidates.keys()):
            raise ValueError(f"{strange[0]} has fractions or lengths and no candidates")
        return self


class Goals(Settings):
    """What is to be shown, by setting; nothing is claimed of a setting without a goal. See docs/study.md.

    Attributes:
        gain_pp: pretrained with half the labels, over from scratch with all, in percentage points.
        time_ratio: total time of that arm over the baseline's, where there is such a gain to show.
        unlabelled_ratio: mIoU without any label over from scratch with all.
        few: the label fraction that should be no worse than all labels from scratch.
        ground_ratio: reprojection ceiling on the ground found over that on the true ground; None where the objective
            has nothing to do with the ground.
    """

    gain_pp: dict[str, float] = Field(default={})
    time_ratio: PositiveFloat = 1 / 3
    unlabelled_ratio: dict[str, float] = Field(default={})
    few: dict[str, Fraction] = Field(default={})
    ground_ratio: PositiveFloat | None = None


class Study(Settings):
    """Everything that decides a study's result.

    Attributes:
        name: of the study, and of the folder of its report.
        title: headline.
        experiment: the experiment that every run is a variation of; its own arms are not used.
        overrides: changes of that experiment, as `--set` takes them.
        world_seeds: the whole study is repeated in each of these worlds; the first one's seed is the default.
        seeds: of the trainings whose results are shown.
        tuning_seeds: of the trainings among which is chosen.
        tuning_split: the towns that choose; never those that are shown.
        clock: what counts as time: processor seconds where trainings share a machine, wall-clock seconds on a GPU
            (with one training at a time: runtime.num_jobs=1).
        settings, goals: see there.
        ablations: by kind and name, changes of what was chosen.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    title: str
    experiment: str
    overrides: tuple[str, ...] = ()
    world_seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    seeds: Annotated[tuple[int, ...], Field(min_length=2)]
    tuning_seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    tuning_split: str = "teacher"
    clock: Clock = "cpu_s"
    settings: dict[str, Setting]
    ablations: dict[Kind, dict[str, Changes]] = Field(default={})
    goals: Goals = Goals()

    def ablations_of(self, setting: Setting) -> list[tuple[Kind, str, Changes]]:
        """Kind, name and changes of the ablations that are run in a setting."""
        every = [(kind, name, change) for kind, named in self.ablations.items() for name, change in named.items()]
        return [one for one in every if setting.ablations == "all" or one[1] in setting.ablations]

    def with_seeds(self, number: int) -> "Study":
        """The same study with the seeds 0 to `number` - 1.

        Raises:
            InputError: if they are too few to tell a spread.
        """
        if number < 2:
            raise InputError("one seed tells no spread", where=f"--seeds {number}", fix="give 2 or more")
        return self.model_copy(update={"seeds": tuple(range(number))})

    def check_choice(self, where: str) -> None:
        """What chooses must have no part in what is shown, nor in what is learnt from.

        Raises:
            InputError: if settings would be chosen on towns that are shown or trained on, or with a seed that is shown.
        """
        if both := sorted(set(self.seeds) & set(self.tuning_seeds)):
            fix = "give tuning_seeds others"
            raise InputError(f"seed {both[0]} is to choose settings, and to be shown", where=where, fix=fix)
        experiment, _ = load_experiment(self.experiment, self.overrides)
        defaults: dict[str, type[Settings]] = {
            "evaluate": EvaluateSettings,
            "pretrain": PretrainSettings,
            "finetune": FinetuneSettings,
        }
        for stage, settings in defaults.items():
            split = experiment.section(stage).get("split", settings.model_fields["split"].default)
            if split == self.tuning_split:
                use = "shown" if stage == "evaluate" else "trained on"
                what = f"settings would be chosen on the towns {split!r}, which are {use}"
                raise InputError(what, where=f"{where}, tuning_split", fix="name a third set of towns")


def load_study(config: str) -> Study:
    """The study of a file, or of a bare name in `configs/studies/`.

    Raises:
        InputError: naming the first fault.
    """
    file = find_config(config, "studies")
    layers = read_layers(file)
    study = parse_settings(Study, layers.merged(), layers)
    for name, setting in study.settings.items():
        known = {ablation for _, ablation, _ in study.ablations_of(setting)}
        if setting.ablations != "all" and (unknown := sorted(set(setting.ablations) - known)):
            raise InputError(f"no ablation {unknown[0]!r}", where=f"{shown(file)}, settings.{name}.ablations")
    study.check_choice(shown(file))
    return study
