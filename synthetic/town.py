"""A town: its streets, what is painted on them, what stands beside them, and its ground seen from above."""

from dataclasses import dataclass

import numpy as np

from synthetic.contents import Ground, Solid
from synthetic.layout import plan_streets
from synthetic.markings import Markings, paint
from synthetic.network import RoadNetwork
from synthetic.raster import rasterise
from synthetic.roads import build_network
from synthetic.scenery import place_scenery
from synthetic.seeds import generator, seed_of


@dataclass(frozen=True, eq=False)
class Town:
    """One town in the global frame of its location.

    Attributes:
        solids: buildings, trees and poles, with instances 1..len(solids).
    """

    name: str
    network: RoadNetwork
    markings: Markings
    ground: Ground
    solids: list[Solid]


def build_town(seed: int, name: str, centre_m: tuple[float, float], resolution_m: float = 0.08) -> Town:
    """The town of that name: a pure function of its arguments.

    Args:
        seed: the world's seed.
        name: distinguishes the towns of a world.
        centre_m: where the town lies in the location's global frame.
        resolution_m: cell size of the ground raster.
    """
    streets = plan_streets(generator(seed, name, "streets"), np.array(centre_m))
    network = build_network(streets)
    markings = paint(generator(seed, name, "markings"), network)
    ground = rasterise(network, markings, resolution_m, seed_of(seed, name, "ground") & 0x7FFFFFFF)
    solids = place_scenery(generator(seed, name, "scenery"), network, markings)
    return Town(name, network, markings, ground, solids)
