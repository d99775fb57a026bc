import pytest

from study.rows import Row
from study.settings import Study

STUDY = {
    "name": "tiny",
    "title": "A tiny study",
    "experiment": "smoke",
    "seeds": [0, 1],
    "tuning_seeds": [5],
    "settings": {
        "B": {
            "title": "few labels",
            "labelled": 0.5,
            "fractions": {"scratch": [0.5, 1], "pretrained": [0, 0.5, 1]},
            "candidates": {
                "scratch": {
                    "short": {"finetune": {"from_random": {"steps": 3}}},
                    "long": {"finetune": {"from_random": {"steps": 4}}},
                },
                "pretrained": {"plain": {}, "hot": {"pretrain": {"optimiser": {"learning_rate": 4e-3}}}},
            },
            "lengths": {"scratch": {"shorter": {"finetune": {"from_random": {"steps": 2}}}}},
            "ablations": ["no temporal loss"],
        }
    },
    "ablations": {"pretrained": {"no temporal loss": {"pretrain": {"objective": {"temporal": {"weight": 0.0}}}}}},
    "goals": {
        "gain_pp": {"B": 2.5},
        "time_ratio": 0.3333,
        "unlabelled_ratio": {"B": 1.0},
        "few": {"B": 0.1},
        "ground_ratio": 0.95,
    },
}


@pytest.fixture
def study() -> Study:
    return Study.parse(STUDY)


def row(arm: str, fraction: float, seed: int, miou: float, **other) -> Row:
    values = {
        "world_seed": 0,
        "setting": "B",
        "part": "curve",
        "variant": "",
        "labelled_scenes": 4,
        "unlabelled_scenes": 8,
        "steps": 100,
        "wall_s": 50.0,
        "cpu_s": 60.0,
        "peak_memory_bytes": 10**9,
        "per_class": {"crossing": miou},
        "per_distance": {"0-10 m": miou},
        "per_visibility": {"seen": miou},
    }
    return Row(**{**values, "arm": arm, "label_fraction": fraction, "seed": seed, "miou": miou, **other})
