"""A town: its streets, what is painted on them, what stands beside them, and its ground seen from above."""

from dataclasses import dataclass
from functools import cached_property

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
    """One town in the global frame of its location: a pure function of its attributes, each part made when asked for.

    Attributes:
        seed: the world's seed.
        name: distinguishes the towns of a world.
        centre_m: where the town lies in the location's global frame.
        resolution_m: cell size of the ground raster.
    """

    seed: int
    name: str
    centre_m: tuple[float, float]
    resolution_m: float = 0.1

    @cached_property
    def network(self) -> RoadNetwork:
        """What can be driven on."""
        return build_network(plan_streets(generator(self.seed, self.name, "streets"), np.array(self.centre_m)))

    @cached_property
    def markings(self) -> Markings:
        """What is painted on it."""
        return paint(generator(self.seed, self.name, "markings"), self.network)

    @cached_property
    def ground(self) -> Ground:
        """The classes of the ground."""
        seed = seed_of(self.seed, self.name, "ground") & 0x7FFFFFFF
        return rasterise(self.network, self.markings, self.resolution_m, seed)

    @cached_property
    def solids(self) -> list[Solid]:
        """Buildings, trees and poles, with instances 1..len(solids)."""
        return place_scenery(generator(self.seed, self.name, "scenery"), self.network, self.markings)
