"""Turns pip's output into one progress line with an estimate of the time left; keeps all of it in build/pip.log."""

import sys
import time
from pathlib import Path


def main(num_packages: int) -> None:
    """Reads pip's output from stdin until it ends."""
    log = Path("build/pip.log")
    log.parent.mkdir(exist_ok=True)
    start, done = time.monotonic(), 0
    with log.open("w") as kept:
        for line in sys.stdin:
            kept.write(line)
            kept.flush()
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                done = min(done + 1, num_packages)
                left_s = (time.monotonic() - start) / done * (num_packages - done)
                show(f"setup: package {done} of {num_packages}, about {left_s:.0f} s left")
            elif line.startswith("Installing collected packages"):
                show("setup: unpacking, about a minute")
            elif line.startswith("ERROR:"):
                show("")
                sys.stderr.write(line)
    show(f"setup: done in {time.monotonic() - start:.0f} s\n")


def show(text: str) -> None:
    """Overwrites the progress line on a terminal; in a log only the last line is kept."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    elif text.endswith("\n"):
        sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
