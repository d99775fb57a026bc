"""What stands beside the roads: buildings, trees, lamp posts and signal posts."""

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from scene.transform import rigid, rotation_from_euler
from synthetic.contents import Semantic, Solid
from synthetic.curves import Points
from synthetic.markings import Markings
from synthetic.network import RoadNetwork


def place_scenery(rng: np.random.Generator, network: RoadNetwork, markings: Markings) -> list[Solid]:
    """The static solids of a town, instances 1, 2, ...; none stands on a road, none on another."""
    clear = shapely.union_all([network.drivable, network.sidewalk])
    solids = _buildings(rng, network, clear)
    taken = shapely.union_all([clear, *[_footprint(s) for s in solids]]).buffer(0.4)
    shapely.prepare(taken)
    solids += _trees(rng, network, taken)
    solids += _posts(rng, network, markings)
    return [
        Solid(s.semantic, i + 1, s.global_from_solid, s.size_m, int(rng.integers(1 << 31)))
        for i, s in enumerate(solids)
    ]


def box_on_ground(
    semantic: Semantic, position: Points, heading_rad: float, size_m: tuple[float, float, float]
) -> Solid:
    """A box that stands on z = 0, without its instance and seed yet."""
    pose = rigid(rotation_from_euler(0, 0, heading_rad), np.array([position[0], position[1], size_m[2] / 2]))
    return Solid(semantic, 0, pose, size_m, 0)


def _footprint(solid: Solid) -> shapely.Polygon:
    length, width, _ = solid.size_m
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (length / 2, width / 2)
    return shapely.Polygon(corners @ solid.global_from_solid[:2, :2].T + solid.global_from_solid[:2, 3])


def _buildings(rng: np.random.Generator, network: RoadNetwork, clear: BaseGeometry) -> list[Solid]:
    """Rows of houses along both sides of the streets, with gaps, set back by a few metres."""
    keep_off = clear.buffer(1.2)
    shapely.prepare(keep_off)
    placed: list[Solid] = []
    footprints: list[shapely.Polygon] = []
    for road in network.roads:
        section = road.street.section
        for side, kerb in ((1.0, section.kerb_left_m), (-1.0, -section.kerb_right_m)):
            setback, density = rng.uniform(1.5, 7.0), rng.uniform(0.45, 0.95)
            along = rng.uniform(0, 6)
            while along < road.line.length_m:
                size = (rng.uniform(8, 24), rng.uniform(8, 15), 3.0 * rng.integers(1, 7) + rng.uniform(0.5, 2))
                middle = along + size[0] / 2
                along += size[0] + rng.uniform(0.5, 5)
                if rng.random() > density:
                    continue
                origin, tangent, normal = road.line.frame_at(middle)
                distance = kerb + section.sidewalk_m + setback + size[1] / 2 + rng.uniform(0, 1.5)
                heading = float(np.arctan2(tangent[1], tangent[0]))
                solid = box_on_ground(Semantic.BUILDING, origin + side * distance * normal, heading, size)
                footprint = _footprint(solid)
                if not keep_off.intersects(footprint) and not any(footprint.intersects(f) for f in footprints):
                    placed.append(solid)
                    footprints.append(footprint.buffer(0.5))
    return placed


def _trees(rng: np.random.Generator, network: RoadNetwork, taken: BaseGeometry) -> list[Solid]:
    """Trunks with crowns, and bushes, along the streets; crowns may hang over the sidewalk, above people's heads."""
    trees = []
    for road in network.roads:
        section = road.street.section
        for side, kerb in ((1.0, section.kerb_left_m), (-1.0, -section.kerb_right_m)):
            spacing = rng.uniform(9, 30)
            for along in np.arange(rng.uniform(2, spacing), road.line.length_m, spacing):
                origin, _, normal = road.line.frame_at(float(along + rng.uniform(-2, 2)))
                position = origin + side * (kerb + section.sidewalk_m + rng.uniform(0.9, 3.5)) * normal
                crown, trunk = rng.uniform(2.0, 4.2), rng.uniform(2.0, 3.0)
                height = crown * rng.uniform(0.75, 1.5)
                heading = float(rng.uniform(0, np.pi))
                if taken.intersects(shapely.Point(position).buffer(0.5)):
                    continue
                if rng.random() < 0.25:
                    bush = (rng.uniform(0.8, 1.6), rng.uniform(0.8, 1.6), rng.uniform(0.6, 1.4))
                    trees.append(box_on_ground(Semantic.VEGETATION, position, heading, bush))
                    continue
                trees.append(box_on_ground(Semantic.VEGETATION, position, heading, (0.3, 0.3, trunk)))
                top = box_on_ground(Semantic.VEGETATION, position, heading, (crown, crown, height))
                top.global_from_solid[2, 3] += trunk
                trees.append(top)
    return trees


def _posts(rng: np.random.Generator, network: RoadNetwork, markings: Markings) -> list[Solid]:
    """Lamp posts just behind one kerb, and a signal post beside each signalled stop line."""
    posts = []
    for road in network.roads:
        section = road.street.section
        side = 1.0 if rng.random() < 0.5 else -1.0
        kerb = section.kerb_left_m if side > 0 else -section.kerb_right_m
        for along in np.arange(rng.uniform(3, 20), road.line.length_m, rng.uniform(22, 34)):
            origin, _, normal = road.line.frame_at(float(along))
            size = (0.18, 0.18, float(rng.uniform(5.5, 8)))
            posts.append(box_on_ground(Semantic.POLE, origin + side * (kerb + 0.6) * normal, 0.0, size))
    approaches = network.approaches()
    for line in markings.stop_lines:
        if line.signalled and line.approach >= 0:
            approach = approaches[line.approach]
            origin, _, normal = approach.curve.frame_at(approach.curve.length_m - 0.3)
            position = origin + (approach.kerb_right_m - 0.7) * normal
            posts.append(box_on_ground(Semantic.POLE, position, 0.0, (0.25, 0.25, 3.8)))
    return [post for post in posts if not network.drivable.contains(shapely.Point(post.global_from_solid[:2, 3]))]
