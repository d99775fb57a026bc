"""The nuScenes map expansion: `maps/expansion/<location>.json`.

Read directly: the devkit's `NuScenesMap` accepts four town names only, and importing it changes matplotlib's style for
the whole process. It is the oracle in the tests.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import shapely
from shapely import LineString, Polygon

from cache.digests import outside_digest
from scene.errors import InputError
from scene.settings import Settings
from stages.prepare.bev_labels.raster import polygons_of

_FOLDER = Path("maps") / "expansion"
_OLDEST_VERSION = (1, 3)


def fingerprint(settings: Settings, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (what a stage is called with)
    """Digests of all towns' files; none where there is no expansion, which only a run of the stage minds."""
    files = sorted((data_root / _FOLDER).glob("*.json"))
    return {f"{_FOLDER.as_posix()}/{file.name}": outside_digest(file) for file in files}


class MapExpansion:
    """The vector map of one town, in metres of the global frame.

    Raises:
        InputError: if the file is missing, malformed, or older than version 1.3 (earlier ones lack layers).
    """

    def __init__(self, data_root: Path, location: str) -> None:
        self._file = data_root / _FOLDER / f"{location}.json"
        self._tables = self._read(location)
        try:
            self._nodes = {n["token"]: (float(n["x"]), float(n["y"])) for n in self._tables["node"]}
            self._lines = {r["token"]: r["node_tokens"] for r in self._tables["line"]}
            self._polygons = {r["token"]: self._polygon(r) for r in self._tables["polygon"]}
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed(error) from error

    def polygons(self, layer: str) -> list[Polygon]:
        """The polygons of a layer, e.g. drivable_area, road_segment, lane, ped_crossing, stop_line."""
        try:
            tokens = (
                token
                for record in self._tables[layer]
                for token in record.get("polygon_tokens") or [record["polygon_token"]]
            )
            return [self._polygons[token] for token in tokens if not self._polygons[token].is_empty]
        except (KeyError, TypeError, AttributeError) as error:
            raise self._malformed(error) from error

    def lines(self, layer: str) -> list[LineString]:
        """The lines of a layer, road_divider or lane_divider; some have less than two nodes and are left out."""
        try:
            nodes = (self._lines[record["line_token"]] for record in self._tables[layer])
            return [LineString([self._nodes[n] for n in tokens]) for tokens in nodes if len(tokens) > 1]
        except (KeyError, TypeError) as error:
            raise self._malformed(error) from error

    def divider_segments(self) -> Iterator[tuple[str, LineString]]:
        """Pieces of lane dividers with their kind, e.g. SINGLE_SOLID_WHITE: that of the piece's first node."""
        try:
            for record in self._tables["lane_divider"]:
                segments = record.get("lane_divider_segments") or []
                for one, other in pairwise(segments):
                    yield one["segment_type"], LineString([self._nodes[s["node_token"]] for s in (one, other)])
        except (KeyError, TypeError, AttributeError) as error:
            raise self._malformed(error) from error

    def _polygon(self, record: dict[str, Any]) -> Polygon:
        rings = [record["exterior_node_tokens"], *(hole["node_tokens"] for hole in record["holes"])]
        shell, *holes = ([self._nodes[token] for token in ring] for ring in rings)
        return Polygon(shell, [hole for hole in holes if len(hole) > 2]) if len(shell) > 2 else Polygon()

    def _read(self, location: str) -> dict[str, Any]:
        fix = f"unpack nuScenes' map expansion (v1.3 or later) so that {_FOLDER}/{location}.json is below the data root"
        try:
            tables = json.loads(self._file.read_bytes())
            version = tuple(int(part) for part in str(tables["version"]).split("."))
        except FileNotFoundError:
            raise InputError(f"there is no map expansion of {location}", where=str(self._file), fix=fix) from None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise self._malformed(error) from error
        if version < _OLDEST_VERSION:
            raise InputError(f"the map expansion is of version {tables['version']}", where=str(self._file), fix=fix)
        return dict(tables)

    def _malformed(self, error: Exception) -> InputError:
        what = f"the map expansion is malformed ({type(error).__name__}: {error})"
        return InputError(what, where=str(self._file), fix="unpack nuScenes' map expansion again")


def valid(polygons: list[Polygon]) -> list[Polygon]:
    """The same areas with self-intersections resolved; the map has some.

    A spike without width becomes a line, which is left out: an area together with a line has no boundary for GEOS.
    """
    return [part for p in polygons for part in ([p] if p.is_valid else polygons_of(shapely.make_valid(p)))]
