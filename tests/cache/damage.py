"""Ways in which a file is damaged, drawn at random."""

import random
from pathlib import Path

KINDS = ("flip", "truncate", "delete", "extend", "empty")


def damage(file: Path, rng: random.Random) -> str:
    """Damages a file; what was done."""
    content = bytearray(file.read_bytes())
    kind = rng.choice(KINDS if content else ("delete", "extend"))
    if kind == "delete":
        file.unlink()
        return kind
    if kind == "flip":
        position = rng.randrange(len(content) * 8)
        content[position // 8] ^= 1 << position % 8
    elif kind == "truncate":
        content = content[: rng.randrange(len(content))]
    elif kind == "extend":
        content += b"\0"
    else:
        content.clear()
    file.write_bytes(content)
    return kind
