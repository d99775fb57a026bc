"""One scene's files: images, LiDAR sweeps, table records and truth."""

from pathlib import Path

import numpy as np

from scene.transform import Matrix, apply, inverse
from synthetic.annotate import ANNOTATED_M, count_points, instance_pixels, projected_area_px, visibility_token
from synthetic.contents import CAMERAS, CameraTruth
from synthetic.drive import LEAD_S, Drive
from synthetic.files import encode_jpeg
from synthetic.lidar import scan_lidar
from synthetic.render import render_camera
from synthetic.rig import EGO_FROM_LIDAR, LIDAR, TRIGGER_JITTER_MS, Camera, build_rig
from synthetic.seeds import generator, seed_of, token_of
from synthetic.settings import WorldSettings
from synthetic.tables import (
    SCENE_TABLES,
    Record,
    Tables,
    attribute_token,
    calibration_token,
    category_token,
    chain,
    log_record,
    pose_fields,
    scene_start_us,
)
from synthetic.traffic import Vehicle


class SceneWriter:
    """Renders a drive frame by frame into a data root and collects its table records."""

    def __init__(self, settings: WorldSettings, drive: Drive, data_root: Path) -> None:
        self.settings, self.drive, self.data_root = settings, drive, data_root
        self.name = drive.plan.name
        self.rig = build_rig(settings.image_wh_px)
        self.start_us = scene_start_us(drive.plan)
        self.tables: Tables = {table: [] for table in SCENE_TABLES}
        self.truth: list[list[CameraTruth]] = []
        self.true_poses: list[list[Matrix]] = []

    def write(self) -> Tables:
        """Writes samples and truth; returns the scene's records."""
        for frame in range(self.settings.frames_per_scene):
            self._frame(frame)
        self._link()
        self._write_truth()
        return self.tables

    def _token(self, *names: object) -> str:
        return token_of(self.settings.seed, self.name, *names)

    def _frame(self, frame: int) -> None:
        time_s = LEAD_S + frame * self.settings.frame_interval_s
        time_us = round(time_s * 1e6)
        token = self._token("sample", frame)
        self.tables["sample"].append(
            {"token": token, "timestamp": self.start_us + time_us, "scene_token": self._token("scene")}
        )
        rng = generator(self.settings.seed, self.name, "trigger", frame)
        triggers = [c.trigger_ms + rng.uniform(-TRIGGER_JITTER_MS, TRIGGER_JITTER_MS) for c in self.rig]
        times_us = [time_us + round(1e3 * trigger) for trigger in triggers]
        views = [self._camera(camera, frame, t) for camera, t in zip(self.rig, times_us, strict=True)]
        self.truth.append(views)
        self.true_poses.append([self.drive.motion.true(t / 1e6) for t in times_us])
        points = self._lidar(frame, time_us)
        self._annotate(frame, time_us / 1e6, points, views)

    def _camera(self, camera: Camera, frame: int, time_us: int) -> CameraTruth:
        time_s = time_us / 1e6
        camera_from_global = inverse(self.drive.motion.true(time_s) @ camera.ego_from_camera)
        view = render_camera(
            self.drive.surface,
            self.drive.solids_at(time_s),
            self.drive.light,
            camera.image_from_camera,
            camera_from_global,
            self.settings.image_wh_px,
            seed_of(self.settings.seed, self.name, "exposure", frame, camera.channel) & 0x7FFFFFFF,
        )
        file = self._sample_data(camera.channel, frame, time_us, "jpg", *self.settings.image_wh_px)
        file.write_bytes(encode_jpeg(view.rgb, self.settings.jpeg_quality))
        return view

    def _lidar(self, frame: int, time_us: int) -> Matrix:
        """Writes the sweep; returns its points (N, 3) in the global frame."""
        time_s = time_us / 1e6
        global_from_lidar = self.drive.motion.true(time_s) @ EGO_FROM_LIDAR
        seed = seed_of(self.settings.seed, self.name, "lidar", frame) & 0x7FFFFFFF
        points = scan_lidar(self.drive.surface, self.drive.solids_at(time_s), global_from_lidar, seed)
        file = self._sample_data(LIDAR, frame, time_us, "pcd", 0, 0)
        file.write_bytes(np.ascontiguousarray(points, dtype="<f4").tobytes())
        return apply(global_from_lidar, points[:, :3].astype(np.float64))

    def _sample_data(self, channel: str, frame: int, time_us: int, form: str, width: int, height: int) -> Path:
        """Adds the records of one measurement; returns the file to write."""
        stamp = self.start_us + time_us
        suffix = "pcd.bin" if form == "pcd" else form
        filename = f"samples/{channel}/{self.name}__{channel}__{stamp}.{suffix}"
        pose = self._token("ego_pose", frame, channel)
        self.tables["ego_pose"].append(
            {"token": pose, "timestamp": stamp, **pose_fields(self.drive.motion.recorded(time_us / 1e6))}
        )
        self.tables["sample_data"].append(
            {
                "token": self._token("sample_data", frame, channel),
                "sample_token": self._token("sample", frame),
                "ego_pose_token": pose,
                "calibrated_sensor_token": calibration_token(channel),
                "timestamp": stamp,
                "fileformat": form,
                "is_key_frame": True,
                "height": height,
                "width": width,
                "filename": filename,
            }
        )
        path = self.data_root / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _annotate(self, frame: int, time_s: float, points: Matrix, views: list[CameraTruth]) -> None:
        here = self.drive.motion.recorded(time_s)
        first = len(self.drive.town.solids) + 1
        visible = instance_pixels([v.instance for v in views], first + len(self.drive.vehicles))
        cameras = [(c.image_from_camera, inverse(here @ c.ego_from_camera)) for c in self.rig]
        for vehicle in self.drive.vehicles:
            pose = vehicle.pose_at(time_s)
            if np.linalg.norm(pose[:2, 3] - here[:2, 3]) > ANNOTATED_M:
                continue
            length, width, height = vehicle.size_m
            wh = self.settings.image_wh_px
            area = sum(projected_area_px(pose, vehicle.size_m, *camera, wh) for camera in cameras)
            self.tables["sample_annotation"].append(
                {
                    "token": self._token("annotation", frame, vehicle.instance),
                    "sample_token": self._token("sample", frame),
                    "instance_token": self._token("instance", vehicle.instance),
                    "visibility_token": visibility_token(float(visible[vehicle.instance]), area),
                    "attribute_tokens": [attribute_token(vehicle.attribute)],
                    "size": [width, length, height],
                    **pose_fields(pose),
                    "num_lidar_pts": count_points(points, pose, vehicle.size_m),
                    "num_radar_pts": 0,
                }
            )

    def _link(self) -> None:
        """Chains of samples, measurements and annotations; the scene and its instances."""
        samples = self.tables["sample"]
        chain(samples)
        for channel in (*CAMERAS, LIDAR):
            own = calibration_token(channel)
            chain([r for r in self.tables["sample_data"] if r["calibrated_sensor_token"] == own])
        for vehicle in self.drive.vehicles:
            token = self._token("instance", vehicle.instance)
            boxes = [r for r in self.tables["sample_annotation"] if r["instance_token"] == token]
            if boxes:
                chain(boxes)
                self.tables["instance"].append(_instance(token, vehicle, boxes))
        log = log_record(self.settings, self.drive.plan)
        self.tables["log"].append(log)
        self.tables["scene"].append(
            {
                "token": self._token("scene"),
                "log_token": log["token"],
                "nbr_samples": len(samples),
                "first_sample_token": samples[0]["token"],
                "last_sample_token": samples[-1]["token"],
                "name": self.name,
                "description": f"Synthetic drive through {self.drive.plan.town.name}.",
            }
        )

    def _write_truth(self) -> None:
        folder = self.data_root / "truth"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{self.name}.npz").open("wb") as stream:
            np.savez_compressed(
                stream,
                semantic=np.array([[view.semantic for view in views] for views in self.truth]),
                instance=np.array([[view.instance for view in views] for views in self.truth]),
                global_from_ego=np.array(self.true_poses),
            )


def _instance(token: str, vehicle: Vehicle, boxes: list[Record]) -> Record:
    return {
        "token": token,
        "category_token": category_token(vehicle.category),
        "nbr_annotations": len(boxes),
        "first_annotation_token": boxes[0]["token"],
        "last_annotation_token": boxes[-1]["token"],
    }
