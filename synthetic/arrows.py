"""Arrows on the road, in the lane's frame: x forward along the lane, y left, metres, centred on the lane."""

import numpy as np
import shapely
from shapely import LineString, Polygon, affinity

from synthetic.curves import Points

STEM_M = 0.22


def arrow_polygon(left: bool, straight: bool, right: bool) -> list[Points]:
    """Exterior rings (M, 2) of the arrow with these heads, about 4 m long; straight where none is given."""
    parts = []
    if straight or not (left or right):
        parts.append(LineString([(-2.0, 0), (1.2, 0)]).buffer(STEM_M / 2, cap_style="flat"))
        parts.append(Polygon([(0.9, -0.45), (2.2, 0.0), (0.9, 0.45)]))
    if left:
        parts.extend(_turning())
    if right:
        parts.extend(affinity.scale(part, yfact=-1, origin=(0, 0)) for part in _turning())
    return [np.array(p.exterior.coords)[:-1] for p in shapely.get_parts(shapely.union_all(parts))]


def _turning() -> list[Polygon]:
    stem = LineString([(-2.0, 0), (0.0, 0), (0.45, 0.2), (0.6, 0.6)]).buffer(STEM_M / 2, cap_style="flat")
    return [stem, Polygon([(0.15, 0.55), (1.05, 0.55), (0.6, 1.25)])]
