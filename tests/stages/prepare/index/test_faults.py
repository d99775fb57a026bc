import json
import math

import pytest
from PIL import Image

from scene.errors import InputError
from scene.frames import FrameIndex
from stages.prepare.index import STAGE
from stages.prepare.index.problems import Problems
from stages.prepare.index.tables import read_rows
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, VERSION


def row(rows, token):
    return next(r for r in rows if r["token"] == token)


def setter(token, **values):
    return lambda rows: row(rows, token).update(values)


def remover(token):
    return lambda rows: rows.remove(row(rows, token))


def break_column(token, column):
    return lambda rows: row(rows, token).pop(column)


# ruff: noqa: E501 (one fault per line: table, change, token and reason that must be named)
TABLE_FAULTS = {
    "non-unit quaternion of a pose": ("ego_pose", setter("pose-CAM_BACK-01", rotation=[0.9, 0, 0, 0]), "pose-CAM_BACK-01", "unit quaternion"),
    "NaN pose": ("ego_pose", setter("pose-LIDAR_TOP-01", translation=[math.nan, 0, 0]), "pose-LIDAR_TOP-01", "NaN"),
    "infinite pose": ("ego_pose", setter("pose-LIDAR_TOP-01", translation=[math.inf, 0, 0]), "pose-LIDAR_TOP-01", "infinity"),
    "pose of two numbers": ("ego_pose", setter("pose-LIDAR_TOP-01", translation=[0, 0]), "pose-LIDAR_TOP-01", "3 numbers"),
    "missing pose": ("ego_pose", remover("pose-CAM_BACK-01"), "CAM_BACK-01", "names no row of ego_pose"),
    "pose without rotation": ("ego_pose", break_column("pose-CAM_BACK-01", "rotation"), "pose-CAM_BACK-01", "is missing"),
    "camera row missing": ("sample_data", remover("CAM_FRONT-01"), "sample-01", "has no CAM_FRONT reading"),
    "camera row twice": ("sample_data", lambda rows: rows.append(dict(row(rows, "CAM_FRONT-01"))), "CAM_FRONT-01", "twice"),
    "second camera row": ("sample_data", lambda rows: rows.append({**row(rows, "CAM_FRONT-01"), "token": "more", "prev": "", "next": ""}), "more", "second CAM_FRONT"),
    "unknown calibration": ("sample_data", setter("CAM_FRONT-01", calibrated_sensor_token="gone"), "CAM_FRONT-01", "names no row of calibrated_sensor"),
    "text as time": ("sample_data", setter("CAM_FRONT-01", timestamp="soon"), "CAM_FRONT-01", "timestamp"),
    "no file name": ("sample_data", setter("CAM_FRONT-01", filename=""), "CAM_FRONT-01", "filename is empty"),
    "a path out of the data": ("sample_data", setter("CAM_FRONT-01", filename="../x.jpg"), "CAM_FRONT-01", "leads out"),
    "another image size": ("sample_data", setter("CAM_FRONT-01", width=64), "CAM_FRONT-01", "has 32x18 px, not 64x18"),
    "dangling sample": ("sample_data", setter("CAM_FRONT-01", sample_token="gone"), "CAM_FRONT-01", "names no row of sample"),
    "sample_data prev dangles": ("sample_data", setter("CAM_FRONT-01", prev="gone"), "CAM_FRONT-01", "prev names no row"),
    "sample_data next is one-way": ("sample_data", setter("CAM_FRONT-01", next="CAM_FRONT-00"), "CAM_FRONT-01", "does not link back"),
    "sample prev dangles": ("sample", setter("sample-01", prev="gone"), "sample-01", "prev is 'gone'"),
    "sample next skips": ("sample", setter("sample-00", next="sample-02"), "sample-00", "next is 'sample-02'"),
    "two samples at one time": ("sample", setter("sample-01", timestamp=1_500_000_000_000_000), "sample-01", "same time"),
    "sample twice": ("sample", lambda rows: rows.append(dict(row(rows, "sample-01"))), "sample-01", "twice"),
    "sample of no scene": ("sample", setter("sample-01", scene_token="gone"), "sample-01", "names no row of scene"),
    "row that is no object": ("sample", lambda rows: rows.append(7), "row 6", "no JSON object"),
    "wrong count of samples": ("scene", setter("scene-0", nbr_samples=4), "scene-0", "has 3 samples"),
    "wrong first sample": ("scene", setter("scene-0", first_sample_token="sample-01"), "scene-0", "first_sample_token"),
    "no log": ("scene", setter("scene-0", log_token="gone"), "scene-0", "names no row of log"),
    "bad calibration": ("calibrated_sensor", setter("cal-CAM_BACK", rotation=[1, 1, 0, 0]), "cal-CAM_BACK", "unit quaternion"),
    "bad intrinsics": ("calibrated_sensor", setter("cal-CAM_BACK", camera_intrinsic=[[0, 0, 1], [0, 1, 0], [0, 0, 1]]), "cal-CAM_BACK", "pinhole"),
    "no intrinsics": ("calibrated_sensor", setter("cal-CAM_BACK", camera_intrinsic=[]), "cal-CAM_BACK", "3 x 3"),
    "dangling sensor": ("calibrated_sensor", setter("cal-CAM_BACK", sensor_token="gone"), "cal-CAM_BACK", "names no row of sensor"),
    "unknown camera": ("sensor", setter("sensor-CAM_BACK", channel="CAM_ROOF"), "sensor-CAM_BACK", "'CAM_ROOF' is an unknown camera"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE_FAULTS)
def test_every_fault_in_a_table_is_named_by_table_and_token(build, edit, name):
    table, change, token, reason = TABLE_FAULTS[name]
    edit(table, change)
    with pytest.raises(InputError) as error:
        build(STAGE, INDEX_SETTINGS)
    named = [line for line in str(error.value).splitlines() if token in line and reason in line]
    assert named, str(error.value)


def test_a_single_problem_is_one_line(build, edit):
    edit("ego_pose", setter("pose-CAM_BACK-01", rotation=[0.9, 0, 0, 0]))
    with pytest.raises(InputError) as error:
        build(STAGE, INDEX_SETTINGS)
    assert str(error.value).startswith("ego_pose pose-CAM_BACK-01: rotation is no unit quaternion (its norm is 0.9)")
    assert "skip_bad_frames" in str(error.value)
    assert "\n" not in str(error.value)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-40])


def empty(file):
    file.write_bytes(b"")


def replace_by_text(file):
    file.write_text("no image")


def make_folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "reason", "modes"),
    [
        (lambda file: file.unlink(), "is missing", ("exists", "header", "full")),
        (empty, "is empty", ("exists", "header", "full")),
        (make_folder, "is no file", ("exists", "header", "full")),
        (truncate, "truncated", ("header", "full")),
        (replace_by_text, "is no image", ("header", "full")),
    ],
)
def test_damaged_images_are_found(build, data_root, damage, reason, modes):
    damage(data_root / "samples/CAM_BACK/CAM_BACK-01.jpg")
    for mode in modes:
        with pytest.raises(InputError, match=reason) as error:
            build(STAGE, INDEX_SETTINGS.model_copy(update={"check_images": mode}))
        assert "CAM_BACK-01" in str(error.value)


def test_a_whole_jpeg_with_bytes_after_its_end_is_accepted(build, data_root):
    file = data_root / "samples/CAM_BACK/CAM_BACK-01.jpg"
    file.write_bytes(file.read_bytes() + b"\0" * 16)
    assert build(STAGE, INDEX_SETTINGS).manifest.statistics["problems"] == 0


def test_images_need_not_be_jpegs(build, data_root, edit):
    name = "samples/CAM_BACK/CAM_BACK-01.png"
    Image.new("RGB", (32, 18)).save(data_root / name)
    edit("sample_data", setter("CAM_BACK-01", filename=name))
    assert build(STAGE, INDEX_SETTINGS).manifest.statistics["problems"] == 0


def break_in_many_ways(data_root, edit):
    edit("ego_pose", setter("pose-CAM_BACK-01", rotation=[0.9, 0, 0, 0]))
    edit("sample_data", remover("CAM_FRONT-10"))
    truncate(data_root / "samples/CAM_BACK/CAM_BACK-12.jpg")
    edit("scene", setter("scene-0", nbr_samples=5))


def test_all_problems_are_found_in_one_run(build, data_root, edit, tmp_path):
    break_in_many_ways(data_root, edit)
    with pytest.raises(InputError) as error:
        build(STAGE, INDEX_SETTINGS)
    headline, *lines = str(error.value).splitlines()
    assert "5 problems" in headline
    assert "skip_bad_frames" in headline
    for part in (
        "pose-CAM_BACK-01",
        "sample sample-10",
        "CAM_FRONT-11: prev names no row",
        "CAM_BACK-12",
        "scene scene-0",
    ):
        assert any(part in line for line in lines), part
    listing = next((tmp_path / "cache").rglob("problems.json"))
    assert str(listing) in headline
    assert len(json.loads(listing.read_text())["problems"]) == 5
    assert not list((tmp_path / "cache").rglob("index.npz"))


def test_skipping_leaves_bad_frames_out_cuts_the_chain_and_records_why(build, data_root, edit):
    break_in_many_ways(data_root, edit)
    artifact = build(STAGE, INDEX_SETTINGS.model_copy(update={"skip_bad_frames": True}))
    ours = FrameIndex.load(artifact.path / "index.npz")
    assert ours.frame_token.tolist() == ["sample-00", "sample-02"]
    assert ours.previous.tolist() == [-1, -1]
    assert ours.scene_name.tolist() == ["scene-0002"]
    problems = json.loads((artifact.path / "problems.json").read_text())["problems"]
    skipped = {frame for problem in problems for frame in problem["skipped_frames"]}
    assert skipped == {"sample-01", "sample-10", "sample-11", "sample-12"}
    assert artifact.manifest.statistics["skipped_frames"] == 4
    assert all(problem["table"] and problem["token"] and problem["reason"] for problem in problems)


def test_a_missing_camera_is_one_problem_not_one_per_frame(build, edit):
    edit("sensor", setter("sensor-CAM_BACK", channel="CAM_ROOF"))
    with pytest.raises(InputError) as error:
        build(STAGE, INDEX_SETTINGS)
    assert len(error.value.details) == 2
    assert "the data set has no sensor CAM_BACK" in str(error.value)


def test_a_shared_row_takes_all_its_frames_with_it_and_is_reported_once(build, edit):
    edit("sample_data", setter("CAM_BACK-01", ego_pose_token="pose-CAM_BACK-00"))
    edit("ego_pose", setter("pose-CAM_BACK-00", rotation=[0.0, 0, 0, 0]))
    artifact = build(STAGE, INDEX_SETTINGS.model_copy(update={"skip_bad_frames": True}))
    (problem,) = json.loads((artifact.path / "problems.json").read_text())["problems"]
    assert problem["skipped_frames"] == ["sample-00", "sample-01"]


def test_nothing_left_is_an_error(build, edit):
    edit("calibrated_sensor", setter("cal-CAM_BACK", rotation=[1, 1, 0, 0]))
    with pytest.raises(InputError, match="no usable keyframe"):
        build(STAGE, INDEX_SETTINGS.model_copy(update={"skip_bad_frames": True}))


@pytest.mark.parametrize("table", ["sample", "ego_pose", "sample_data", "scene", "sensor", "calibrated_sensor", "log"])
def test_a_missing_or_cut_table_is_fatal_and_causes_no_flood(build, data_root, table):
    file = data_root / VERSION / f"{table}.json"
    file.write_bytes(file.read_bytes()[:-3])
    for reason in ("malformed JSON or truncated", "is missing"):
        with pytest.raises(InputError, match=reason) as error:
            build(STAGE, INDEX_SETTINGS.model_copy(update={"skip_bad_frames": True}))
        assert len(error.value.details) < 5, str(error.value)
        file.unlink(missing_ok=True)


def test_not_a_data_set(build, data_root):
    with pytest.raises(InputError, match=r"holds v1\.0-tiny"):
        build(STAGE, INDEX_SETTINGS.model_copy(update={"version": "v1.0-mini"}))
    for path in (data_root / VERSION).iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no nuScenes tables"):
        build(STAGE, INDEX_SETTINGS)
    (data_root / VERSION).rmdir()
    with pytest.raises(InputError, match="no nuScenes data set") as error:
        build(STAGE, INDEX_SETTINGS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{}", "[", '[{"a": 1} {"a": 2}]', '[{"a": 1},]', '[{"a": 1}, {"a"', "[1, 2"])
def test_malformed_tables_end_with_one_report(tmp_path, text):
    (tmp_path / "sample.json").write_text(text)
    problems = Problems()
    list(read_rows(tmp_path, "sample", problems))
    assert "sample" in problems.unreadable_tables


def test_rows_are_found_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.prepare.index.tables._CHUNK_CHARS", 40)
    rows = [{"token": f"{i}"} for i in range(5)]
    for text in (json.dumps(rows), json.dumps(rows, indent=2), " [ ] ", json.dumps(rows, separators=(",", ":"))):
        (tmp_path / "sample.json").write_text(text)
        problems, seen = Problems(), []
        found = list(read_rows(tmp_path, "sample", problems, seen.append))
        assert found == json.loads(text)
        assert sum(seen) == len(text)
        assert not problems.found
