"""From tables to keyframes: rows joined by token, every fault on the way reported."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scene.sweep import LIDAR
from stages.prepare.index import NUSCENES_CAMERAS
from stages.prepare.index.chains import Chain
from stages.prepare.index.problems import Problems
from stages.prepare.index.tables import CAMERA_COLUMNS, IMAGE_COLUMNS, Row, check_row, read_rows, text_of

UNKNOWN = ""
Advance = Callable[[int], object]


@dataclass(frozen=True)
class Keyframe:
    """A sample with the sensor readings taken at it.

    Attributes:
        row: of the table `sample`.
        readings: rows of `sample_data` by channel; those of the configured cameras and of LIDAR_TOP.
    """

    row: Row
    readings: dict[str, Row] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """The sample's token."""
        return text_of(self.row, "token")


@dataclass(frozen=True)
class DataSet:
    """What the index is made of: rows by token, sound ones only.

    Attributes:
        scenes, logs, calibrations, poses: rows by token.
        keyframes: by sample token.
    """

    scenes: dict[str, Row]
    logs: dict[str, Row]
    calibrations: dict[str, Row]
    keyframes: dict[str, Keyframe]
    poses: dict[str, Row]


def read_scenes(tables_dir: Path, problems: Problems) -> dict[str, Row]:
    """All sound rows of `scene` by token."""
    scenes = _by_token(tables_dir, "scene", problems)
    names: dict[str, str] = {}
    for token, row in scenes.items():
        if names.setdefault(row["name"], token) != token:
            problems.report("scene", token, f"the name {row['name']!r} is used twice", fatal=True)
    return scenes


def read_data_set(
    tables_dir: Path,
    all_scenes: dict[str, Row],
    chosen: set[str],
    cameras: tuple[str, ...],
    problems: Problems,
    advance: Advance,
) -> DataSet:
    """Reads what the chosen scenes need of every table.

    Args:
        all_scenes: rows of `scene` by token.
        chosen: names of the scenes to read.
        cameras: channels to read, besides LIDAR_TOP.
        advance: called with the number of characters read.
    """
    logs = _by_token(tables_dir, "log", problems)
    channels, calibrations = _read_calibrations(tables_dir, cameras, problems, advance)
    keyframes, sample_tokens = _read_samples(tables_dir, all_scenes, chosen, problems, advance)
    _read_readings(tables_dir, keyframes, sample_tokens, channels, set(cameras), problems, advance)
    poses = _read_poses(tables_dir, keyframes, problems, advance)
    scenes = {token: row for token, row in all_scenes.items() if row["name"] in chosen}
    return DataSet(scenes, logs, calibrations, keyframes, poses)


def _by_token(tables_dir: Path, table: str, problems: Problems) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in read_rows(tables_dir, table, problems):
        if check_row(table, row, problems):
            _insert(rows, table, row, problems)
    return rows


def _insert(rows: dict[str, Row], table: str, row: Row, problems: Problems) -> None:
    if rows.setdefault(row["token"], row) is not row:
        problems.report(table, row["token"], "the token is used twice")


def _read_calibrations(
    tables_dir: Path, cameras: tuple[str, ...], problems: Problems, advance: Advance
) -> tuple[dict[str, str], dict[str, Row]]:
    """Channel by calibration token, for every sensor (or UNKNOWN); and the calibrations of the channels in use."""
    sensors = _by_token(tables_dir, "sensor", problems)
    for token, sensor in sensors.items():
        if sensor["modality"] == "camera" and sensor["channel"] not in {*cameras, *NUSCENES_CAMERAS}:
            problems.report("sensor", token, f"{sensor['channel']!r} is an unknown camera", fatal=True)
    if "sensor" not in problems.unreadable_tables:
        for channel in sorted({*cameras, LIDAR} - {sensor["channel"] for sensor in sensors.values()}):
            problems.report("sensor", "", f"the data set has no sensor {channel}", fatal=True)
    channels: dict[str, str] = {}
    calibrations: dict[str, Row] = {}
    for row in read_rows(tables_dir, "calibrated_sensor", problems, advance):
        token, sensor_token = text_of(row, "token"), text_of(row, "sensor_token")
        if sensor_token not in sensors:
            problems.dangling("calibrated_sensor", token, "sensor_token", ("sensor", sensor_token), ())
            channels[token] = UNKNOWN
            continue
        channels[token] = channel = sensors[sensor_token]["channel"]
        more = CAMERA_COLUMNS if channel != LIDAR else {}
        if channel in {*cameras, LIDAR} and check_row("calibrated_sensor", row, problems, (), **more):
            _insert(calibrations, "calibrated_sensor", row, problems)
    return channels, calibrations


def _read_samples(
    tables_dir: Path, all_scenes: dict[str, Row], chosen: set[str], problems: Problems, advance: Advance
) -> tuple[dict[str, Keyframe], set[str]]:
    """Keyframes of the chosen scenes, and the tokens of all samples."""
    keyframes: dict[str, Keyframe] = {}
    tokens: set[str] = set()
    for row in read_rows(tables_dir, "sample", problems, advance):
        token = text_of(row, "token")
        tokens.add(token)
        scene = text_of(row, "scene_token")
        if scene in all_scenes and all_scenes[scene]["name"] not in chosen:
            continue
        if scene and scene not in all_scenes:
            problems.dangling("sample", token, "scene_token", ("scene", scene), ())
        elif check_row("sample", row, problems, (token,) if token else ()):
            if token in keyframes:
                problems.report("sample", token, "the token is used twice", (token,))
            else:
                keyframes[token] = Keyframe(row)
    return keyframes, tokens


def _read_readings(
    tables_dir: Path,
    keyframes: dict[str, Keyframe],
    sample_tokens: set[str],
    channels: dict[str, str],
    cameras: set[str],
    problems: Problems,
    advance: Advance,
) -> None:
    """Fills the keyframes' readings from `sample_data`, and checks the chains that these readings are part of."""
    chain = Chain()
    keyframe_rows: dict[int, tuple[str, str]] = {}
    claimed: set[tuple[str, str]] = set()
    tokens: dict[str, str] = {}
    for row in read_rows(tables_dir, "sample_data", problems, advance):
        token, sample, calibration = (text_of(row, c) for c in ("token", "sample_token", "calibrated_sensor_token"))
        channel = channels.get(calibration, UNKNOWN)
        if channel not in {*cameras, LIDAR, UNKNOWN}:
            continue
        number = chain.add(token, text_of(row, "prev"), text_of(row, "next"))
        if row.get("is_key_frame") is False or (sample in sample_tokens and sample not in keyframes):
            continue
        frames = (sample,) if sample in keyframes else ()
        keyframe_rows[number] = (token, sample)
        claimed.add((sample, channel))
        if sample not in sample_tokens:
            problems.dangling("sample_data", token, "sample_token", ("sample", sample), ())
        if channel == UNKNOWN:
            target = ("calibrated_sensor", calibration)
            problems.dangling("sample_data", token, "calibrated_sensor_token", target, frames)
            continue
        sound = check_row("sample_data", row, problems, frames, **(IMAGE_COLUMNS if channel != LIDAR else {}))
        if token in tokens:
            problems.report("sample_data", token, "the token is used twice", {*frames, tokens[token]})
        elif sound and frames:
            tokens[token] = sample
            if keyframes[sample].readings.setdefault(channel, row) is not row:
                problems.report("sample_data", token, f"is a second {channel} reading of sample {sample}", frames)
    if "sample_data" in problems.unreadable_tables:
        return
    _report_missing(keyframes, claimed, {*cameras, LIDAR} & set(channels.values()), problems)
    for number, column, reason in chain.broken_links():
        if number in keyframe_rows:
            token, sample = keyframe_rows[number]
            problems.report("sample_data", token, f"{column} {reason}", {sample} & keyframes.keys())


def _report_missing(
    keyframes: dict[str, Keyframe], claimed: set[tuple[str, str]], channels: set[str], problems: Problems
) -> None:
    """Reports keyframes without a reading of some channel; one of an unknown channel may be the one that is missing."""
    for token in keyframes:
        if (token, UNKNOWN) not in claimed:
            for channel in sorted(channels):
                if (token, channel) not in claimed:
                    problems.report("sample", token, f"has no {channel} reading", (token,))


def _read_poses(
    tables_dir: Path, keyframes: dict[str, Keyframe], problems: Problems, advance: Advance
) -> dict[str, Row]:
    """The ego poses that the keyframes' readings name."""
    users: dict[str, list[str]] = {}
    for keyframe in keyframes.values():
        for reading in keyframe.readings.values():
            users.setdefault(reading["ego_pose_token"], []).append(keyframe.token)
    poses: dict[str, Row] = {}
    for row in read_rows(tables_dir, "ego_pose", problems, advance):
        token = text_of(row, "token")
        if token in users and check_row("ego_pose", row, problems, tuple(users[token])):
            if token in poses:
                problems.report("ego_pose", token, "the token is used twice", users[token])
            poses[token] = row
    return poses
