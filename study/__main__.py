"""`python -m study NAME`: runs a study, writes reports/NAME/ (index.html, plots, summary.json), and says what holds."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline import output
from pipeline.places import REPORTS, open_cache
from study.conduct import conduct
from study.settings import load_study

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(help=f"{(__doc__ or '').strip()} Exit status 0 whether claims hold or not.")
@output.told_in_one_line
def run(
    study: Annotated[str, typer.Argument(help="study file, or a bare name in configs/studies/")],
    cache: output.Cache = None,
    world_seed: Annotated[list[int] | None, typer.Option(help="instead of the study's worlds; repeatable")] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="train with seeds 0 to N-1 instead of the study's")
    ] = None,
    reports: Annotated[Path, typer.Option(help="folder of the reports")] = REPORTS,
) -> None:
    """Runs a study."""
    loaded = load_study(study)
    if world_seed:
        loaded = loaded.model_copy(update={"world_seeds": tuple(world_seed)})
    if seeds is not None:
        loaded = loaded.with_seeds(seeds)
        loaded.check_choice(f"--seeds {seeds}")
    conduct(loaded, open_cache(cache), output.console(), reports)


if __name__ == "__main__":
    output.main(app)
