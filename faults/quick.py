"""A little of everything, as JSON: python -m faults.quick. Shows in half a minute that the harnesses work."""

import json
import sys
import tempfile
from pathlib import Path

from faults.corruption import corrupt
from faults.experiment import load_everything, undisturbed
from faults.kills import kill
from faults.races import races
from faults.schedule import GC, PUSH


def main() -> int:
    load_everything()
    with tempfile.TemporaryDirectory(prefix="bevprior-faults-") as scratch:
        whole = undisturbed(Path(scratch), until="pretrain")
        reports = {
            "kills": kill(whole, ("index", "geometry", "pretrain", GC, PUSH), kills=12, seed=0),
            "races": races(whole, "geometry", rounds=1, processes=2, with_workers=False),
            "corruption": corrupt(whole, damages=60, repairs=3, seed=0),
        }
    json.dump({name: report.document() for name, report in reports.items()}, sys.stdout, indent=1)
    return 1 if any(report.broken for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
