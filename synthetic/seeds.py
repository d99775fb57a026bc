"""Random streams addressed by name, so that no draw depends on the order in which things are made."""

import hashlib

import numpy as np


def seed_of(seed: int, *names: object) -> int:
    """A 63-bit seed that is a pure function of the world's seed and a path of names."""
    text = "\0".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """The random stream of that name."""
    return np.random.default_rng(seed_of(seed, *names))


def token_of(*names: object) -> str:
    """A 32-digit hexadecimal token, the form that nuScenes tables use, made from names."""
    return hashlib.sha256("\0".join(map(str, names)).encode()).hexdigest()[:32]
