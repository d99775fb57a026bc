"""`python -m study NAME`: runs a study, writes reports/NAME/ (index.html, plots, summary.json), and says what holds."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from pipeline.places import REPORTS, open_cache
from scene.errors import EXIT_BAD_INPUT, InputError
from study.conduct import conduct
from study.settings import load_study


def main() -> int:
    """Exit status 0 whether claims hold or not; 2 for what a user can mend."""
    parser = argparse.ArgumentParser(prog="python -m study", description=__doc__.splitlines()[0])
    parser.add_argument("study", help="study file, or a bare name in configs/studies/")
    parser.add_argument("--cache", help="a folder, or s3://bucket/prefix; else $BEVPRIOR_CACHE, or .cache")
    parser.add_argument("--world-seed", type=int, action="append", help="instead of the study's worlds; repeatable")
    parser.add_argument("--seeds", type=int, metavar="N", help="train with seeds 0 to N-1 instead of the study's")
    parser.add_argument("--reports", type=Path, default=REPORTS)
    arguments = parser.parse_args()
    try:
        study = load_study(arguments.study)
        if arguments.world_seed:
            study = study.model_copy(update={"world_seeds": tuple(arguments.world_seed)})
        if arguments.seeds is not None:
            study = study.with_seeds(arguments.seeds)
            study.check_choice(f"--seeds {arguments.seeds}")
        conduct(study, open_cache(arguments.cache), Console(), arguments.reports)
    except InputError as error:
        print(f"bevprior: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
