"""A flat world that is a formula: six cameras, class ids by ray casting, and a data set of it on disk."""

from pathlib import Path

import cv2
import numpy as np

from cache.arrays import ArraySpec, create_arrays
from cache.keys import KeySpec
from cache.manifest import Artifact
from cache.store import Store
from models.objectives.frames import ClipArrays, FrameArrays, ImageLabels, LabelView
from models.objectives.points import GroundPoints, in_metres
from scene.camera import ground_from_pixel
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.ground import ground_points
from scene.labels import STRUCTURE, BevClass, LabelSchema, MapLayer
from scene.transform import inverse, rigid, rotation_from_euler
from stages.prepare.geometry import STAGE as GEOMETRY
from stages.prepare.ground_points import STAGE as GROUND_POINTS
from stages.prepare.ground_points import GroundPointsSettings
from stages.prepare.ground_points.run import drawn_points
from stages.stage import Runtime, StageRun

GRID = BevGrid(x_range_m=(-12.0, 12.0), y_range_m=(-8.0, 8.0), resolution_m=0.5)
SCHEMA = LabelSchema(
    name="flat",
    classes=(
        BevClass(name="background"),
        BevClass(name="road", layers=("drivable_area",), scored=True),
        BevClass(name="crossing", layers=("crossing_filled",), scored=True),
    ),
)
POINTS = GroundPointsSettings(grid=GRID, label_schema=SCHEMA, widen={}, join_dashes={}, fill_gaps={}, max_row_m=5.0)
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
YAW_DEG = (0, -55, -110, 180, 110, 55)
IMAGE_HW_PX = (48, 96)
OPTICAL_FROM_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
COLOURS = np.array([[40, 90, 40], [90, 90, 90], [220, 220, 220]], np.uint8)


def class_at(points_m):
    """Class of global ground points (..., 2): a road along x, left of the middle, and crossings over it every 14 m."""
    x, y = points_m[..., 0], points_m[..., 1]
    road = (y > -3) & (y < 5)
    crossing = road & (np.mod(x - 4, 14) < 3)
    return np.where(crossing, 2, np.where(road, 1, 0)).astype(np.uint8)


def intrinsics():
    height, width = IMAGE_HW_PX
    focal = 0.8 * width
    k = np.array([[focal, 0, (width - 1) / 2], [0, focal, 0.35 * height], [0, 0, 1]])
    return np.broadcast_to(k, (len(CAMERAS), 3, 3)).copy()


def ego_from_camera():
    poses = []
    for yaw in np.deg2rad(YAW_DEG):
        turn = rotation_from_euler(0, 0.1, yaw)
        poses.append(rigid(turn @ OPTICAL_FROM_BODY, np.array([1.2 * np.cos(yaw), 0.6 * np.sin(yaw), 1.6])))
    return np.stack(poses)


def to_global(points_m, global_from_ego):
    return points_m @ global_from_ego[:2, :2].T + global_from_ego[:2, 3]


def label_images(homographies, global_from_ego):
    points_m, below = ground_points(homographies, *IMAGE_HW_PX)
    classes = class_at(to_global(np.nan_to_num(points_m), global_from_ego))
    return np.where(below & (np.linalg.norm(np.nan_to_num(points_m), axis=-1) < 40), classes, STRUCTURE).astype(
        np.uint8
    )


def bev_class(global_from_ego):
    return class_at(to_global(GRID.centres(), global_from_ego))


def pose(x, y, yaw):
    return rigid(rotation_from_euler(0, 0, yaw), np.array([x, y, 0.0]))


def image_labels(global_from_ego):
    """Exact labels of one keyframe."""
    homographies = ground_from_pixel(intrinsics(), inverse(ego_from_camera()))
    classes = label_images(homographies, global_from_ego)
    return ImageLabels(classes, np.ones(classes.shape, np.float32), homographies)


def view(global_from_view, global_from_ego, frame=0):
    """The labels of one keyframe for a sample at another."""
    motion = inverse(global_from_ego) @ global_from_view
    return LabelView(
        frame,
        lambda: image_labels(global_from_view),
        lambda: points(image_labels(global_from_view)),
        {}.__getitem__,
        motion,
    )


def points(labels, settings=POINTS):
    """What the stage `ground_points` makes of labels, as a reader gives it."""
    drawn = drawn_points(labels, settings)
    return GroundPoints(in_metres(drawn["points"], settings.grid), drawn["class_id"], float(drawn["weight"]))


def frame(global_from_ego):
    """One keyframe as a reader gives it; images are coloured by class."""
    camera_from_ego = inverse(ego_from_camera())
    classes = image_labels(global_from_ego).class_id
    images = np.where((classes < 3)[..., None], COLOURS[np.minimum(classes, 2)], np.uint8(180))
    return FrameArrays(
        images=images,
        image_from_ego=intrinsics() @ camera_from_ego[:, :3],
        valid=np.ones(len(CAMERAS), np.bool_),
        seen=np.ones(GRID.shape, np.bool_),
    )


def clip(global_from_previous, global_from_ego):
    return ClipArrays(
        frames=(frame(global_from_previous), frame(global_from_ego)),
        ego_from_previous=(inverse(global_from_ego) @ global_from_previous,),
        has_previous=(True,),
        bev_class=bev_class(global_from_ego),
        views=(view(global_from_ego, global_from_ego),),
    )


def write_dataset(root: Path, num_scenes=4, frames_per_scene=3):
    """Artifacts of a small data set by role, in a store at root / "cache"; images lie in root / "data"."""
    store = Store(root / "cache")
    index = make_index(root / "data", num_scenes, frames_per_scene)
    built = {"index": _build(store, "index", {}, lambda build: index.save(build.path / "index.npz"))}
    built["geometry"] = _geometry(store, built["index"])
    built["teacher_labels"] = _build(
        store, "teacher_labels", {"index": built["index"]}, lambda build: _write_labels(build.path, index)
    )
    own = {role: built[role] for role in GROUND_POINTS.inputs}
    built["ground_points"] = run_stage(store, GROUND_POINTS, POINTS, own)[0]
    built["bev_labels"] = _build(
        store, "bev_labels", {"index": built["index"]}, lambda build: _write_layers(build.path, index)
    )
    return built


def make_index(data_root, num_scenes, frames_per_scene):
    total, cameras = num_scenes * frames_per_scene, len(CAMERAS)
    scene = np.repeat(np.arange(num_scenes), frames_per_scene).astype(np.int32)
    place = np.tile(np.arange(frames_per_scene), num_scenes)
    poses = np.stack([pose(7 * s + 2 * k, 0.5 * s - 1, 0.05 * (s + k)) for s, k in zip(scene, place, strict=True)])
    files = np.array([[f"samples/{c}/{f}.png" for c in CAMERAS] for f in range(total)])
    for f in range(total):
        for c, image in enumerate(frame(poses[f]).images):
            file = data_root / files[f, c]
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), image[..., ::-1])
    height, width = IMAGE_HW_PX
    return FrameIndex(
        camera_names=np.array(CAMERAS),
        scene_token=np.array([f"token-{s}" for s in range(num_scenes)]),
        scene_name=np.array([f"scene-{s}" for s in range(num_scenes)]),
        scene_location=np.array(["flat"] * num_scenes),
        scene_split=np.array(["train"] * (num_scenes - 1) + ["val"]),
        frame_token=np.array([f"frame-{f}" for f in range(total)]),
        frame_scene=scene,
        frame_timestamp_us=np.arange(total, dtype=np.int64) * 500_000,
        previous=np.where(place > 0, np.arange(total) - 1, -1).astype(np.int32),
        global_from_ego=poses,
        lidar_file=np.array([""] * total),
        ego_from_lidar=np.broadcast_to(np.eye(4), (total, 4, 4)),
        camera_file=files,
        camera_bytes=np.ones((total, cameras), np.int64),
        camera_timestamp_us=np.zeros((total, cameras), np.int64),
        camera_valid=np.ones((total, cameras), np.bool_),
        global_from_ego_at_camera=np.broadcast_to(poses[:, None], (total, cameras, 4, 4)),
        ego_from_camera=np.broadcast_to(ego_from_camera(), (total, cameras, 4, 4)),
        image_from_camera=np.broadcast_to(intrinsics(), (total, cameras, 3, 3)),
        image_wh_px=np.broadcast_to(np.array([width, height], np.int32), (total, cameras, 2)),
    )


def _build(store, stage, parents, write) -> Artifact:
    spec = KeySpec(stage, 1, {}, {role: a.output_digest for role, a in parents.items()})

    def fill(build):
        write(build)
        return {}

    return store.get_or_build(spec, {role: a.key for role, a in parents.items()}, fill)[0]


def run_stage(store, stage, settings, inputs, data_root=None, runtime=None):
    """The artifact of a real stage."""
    runtime = runtime or Runtime(progress=False, device="cpu")
    spec = KeySpec(
        stage.name, stage.version, settings.canonical(), {role: a.output_digest for role, a in inputs.items()}
    )
    return store.get_or_build(
        spec,
        {role: a.key for role, a in inputs.items()},
        lambda build: stage.run(StageRun(settings, inputs, build, runtime, data_root)),
    )


def _geometry(store, index):
    return run_stage(store, GEOMETRY, GEOMETRY.settings(label_hw_px=IMAGE_HW_PX, grid=GRID), {"index": index})[0]


def _write_labels(path, index):
    height, width = IMAGE_HW_PX
    shape = (index.num_frames, index.num_cameras)
    homographies = ground_from_pixel(intrinsics(), inverse(ego_from_camera()))
    dims = ("frame", "camera", "row", "column")
    group = create_arrays(
        path / "labels.zarr",
        [
            ArraySpec("class_id", (*shape, height, width), "u1", (1, 1, height, width), None, dims, 255),
            ArraySpec("confidence", (*shape, height // 4, width // 4), "u1", (1, 1, 12, 24), None, dims, 255),
        ],
    )
    for f in range(index.num_frames):
        group["class_id"][f] = label_images(homographies, index.global_from_ego[f])
    group["confidence"][:] = 250


def _write_layers(path, index):
    spec = ArraySpec("layers", (index.num_frames, *GRID.shape), "u2", (1, *GRID.shape), None, ("frame", "x", "y"), 0)
    group = create_arrays(path / "bev.zarr", [spec])
    bits = np.array([0, 1 << MapLayer.DRIVABLE_AREA, 1 << MapLayer.CROSSING_FILLED], np.uint16)
    for f in range(index.num_frames):
        group["layers"][f] = bits[bev_class(index.global_from_ego[f])]
