"""What a run is asked to do: the one parameter of the command line, the inline engine and the Prefect flow alike."""

from pydantic import BaseModel, ConfigDict, Field

from cache.store import Store
from pipeline.config import Experiment, load_experiment
from pipeline.places import open_cache
from pipeline.plan import Plan
from pipeline.steps import plan_experiment


class ExperimentRequest(BaseModel):
    """An experiment to run. Prefect shows these fields as a form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str = Field("demo", description="experiment file, or a bare name in configs/experiments/")
    until: str | None = Field(None, description="stop after this stage; empty runs everything")
    overrides: tuple[str, ...] = Field((), description="settings to change, each as section.key=value")
    cache: str | None = Field(None, description="a folder, or s3://bucket/prefix; empty is $BEVPRIOR_CACHE, or .cache")
    skip_bad_frames: bool = Field(False, description="go on without frames that cannot be read; they are recorded")

    def load(self) -> tuple[Experiment, Plan]:
        """The experiment and its plan, every setting checked.

        Raises:
            scene.errors.InputError: naming the first fault of the configuration.
        """
        extra = ("index.skip_bad_frames=true",) if self.skip_bad_frames else ()
        experiment, layers = load_experiment(self.config, (*self.overrides, *extra))
        return experiment, plan_experiment(experiment, layers, self.until)

    def open_cache(self) -> Store:
        """Where results live."""
        return open_cache(self.cache)
