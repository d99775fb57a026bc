"""The nuScenes-format folder of a world: scenes written one by one, then tables, maps and splits from all of them.

v1.0-synthetic/*.json   the thirteen tables
samples/<CHANNEL>/      JPEG images and .pcd.bin sweeps
maps/, maps/expansion/  drivable-area masks and vector maps of the locations
splits.json             scene names by split
truth/<scene>.npz       exact classes, instances and poses
scenes/<scene>.json     the scene's own records of the tables
"""

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from synthetic.drive import Drive
from synthetic.files import write_json
from synthetic.map_expansion import map_expansion
from synthetic.scene_writer import SceneWriter
from synthetic.settings import SPLITS, ScenePlan, TownPlan, WorldSettings, canvas_edge_m, plan_scenes, plan_towns
from synthetic.surface import Surface
from synthetic.tables import MAP_FILES, SCENE_TABLES, VERSION, Tables, shared_tables
from synthetic.town import Town

PARTS = "scenes"
"""Folder with the records of each scene, which `finish_world` joins."""
MASK_CELL_M = 0.1
"""The devkit reads drivable-area masks at ten pixels per metre."""


@lru_cache(maxsize=1)
def _town(settings: WorldSettings, plan: TownPlan) -> tuple[Town, Surface]:
    """The last town stays in memory: scenes are written town by town."""
    town = Town(settings.seed, plan.name, plan.centre_m, settings.ground_resolution_m)
    return town, Surface.of(town.ground)


def write_scene(settings: WorldSettings, plan: ScenePlan, data_root: Path) -> list[str]:
    """Writes one scene's samples, truth and records; the files, relative to `data_root`.

    Doing it again writes the same bytes.
    """
    town, surface = _town(settings, plan.town)
    tables = SceneWriter(settings, Drive.start(settings, plan, town, surface), data_root).write()
    records = f"{PARTS}/{plan.name}.json"
    write_json(data_root / records, tables)
    return [records, f"truth/{plan.name}.npz", *(record["filename"] for record in tables["sample_data"])]


def finish_world(settings: WorldSettings, data_root: Path) -> None:
    """Writes tables, maps and splits after every scene of the plan was written."""
    scenes = plan_scenes(settings)
    tables: Tables = {table: [] for table in SCENE_TABLES}
    for scene in scenes:
        part: Tables = json.loads((data_root / PARTS / f"{scene.name}.json").read_text(encoding="utf-8"))
        for table, records in part.items():
            tables[table] += records
    towns = plan_towns(settings)
    tables |= shared_tables(settings, towns, tables["log"])
    for table, records in tables.items():
        write_json(data_root / VERSION / f"{table}.json", records)
    for location in sorted({town.location for town in towns}):
        write_map(settings, location, data_root)
    splits = {split: [scene.name for scene in scenes if scene.split == split] for split in SPLITS}
    write_json(data_root / "splits.json", splits)


def write_map(settings: WorldSettings, location: str, data_root: Path) -> None:
    """Writes a location's vector map and its drivable-area mask."""
    plans = [town for town in plan_towns(settings) if town.location == location]
    towns = [Town(settings.seed, plan.name, plan.centre_m) for plan in plans]
    edge = canvas_edge_m(plans)
    write_json(data_root / "maps" / "expansion" / f"{location}.json", map_expansion(location, towns, edge))
    shape = (round(edge[1] / MASK_CELL_M), round(edge[0] / MASK_CELL_M))
    mask = np.zeros(shape, np.uint8)
    for town in towns:
        for area in (town.network.sidewalk, town.network.drivable):
            for polygon in area.geoms:
                rings = [np.array(ring.coords) / MASK_CELL_M for ring in (polygon.exterior, *polygon.interiors)]
                # Rows run southwards from the canvas's northern edge.
                rings = [
                    np.stack([ring[:, 0], shape[0] - ring[:, 1]], axis=1).round().astype(np.int32) for ring in rings
                ]
                cv2.fillPoly(mask, rings, 255)
    _, encoded = cv2.imencode(".png", mask)
    (data_root / MAP_FILES[location]).write_bytes(encoded.tobytes())
