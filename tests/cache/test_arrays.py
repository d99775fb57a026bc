import pickle
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import zarr

from cache.arrays import ArraySpec, create_arrays, open_arrays
from cache.keys import KeySpec
from cache.store import Store
from scene.errors import InputError

SHARDED = ArraySpec("ids", (8, 6), "u1", (1, 6), (4, 6), ("frame", "cell"), 255)
PLAIN = ArraySpec("poses", (5, 3), np.float64, (2, 3), None, ("frame", "axis"), 0.0, "m", {"frame_of": "ego", "a": 1})
IDS = (np.arange(48, dtype=np.uint8) % 7).reshape(8, 6)
POSES = np.linspace(0, 1, 15).reshape(5, 3)


def fill(build):
    group = create_arrays(build.path / "x.zarr", [SHARDED, PLAIN], {"note": "hello", "b": [1]})
    group["ids"][:4], group["ids"][4:], group["poses"][:] = IDS[:4], IDS[4:], POSES
    return {}


@pytest.fixture
def artifact(tmp_path):
    return Store(tmp_path / "cache").get_or_build(KeySpec("toy", 1, {}), {}, fill)[0]


def test_any_zarr_library_opens_them(artifact):
    group = zarr.open_group(str(artifact.path / "x.zarr"), mode="r")
    np.testing.assert_array_equal(group["ids"][:], IDS)
    np.testing.assert_array_equal(group["poses"][:], POSES)
    assert dict(group.attrs) == {"note": "hello", "b": [1]}
    assert dict(group["poses"].attrs) == {"units": "m", "frame_of": "ego", "a": 1}
    assert group["ids"].metadata.dimension_names == ("frame", "cell")
    assert (group["ids"].shards, group["ids"].chunks, group["ids"].fill_value) == ((4, 6), (1, 6), 255)


def test_creating_again_keeps_what_is_written(tmp_path):
    for round_ in range(2):
        group = create_arrays(tmp_path / "x.zarr", [SHARDED, PLAIN])
        if round_ == 0:
            group["ids"][:4] = IDS[:4]
    np.testing.assert_array_equal(group["ids"][:4], IDS[:4])
    assert (group["ids"][4:] == 255).all()
    create_arrays(tmp_path / "x.zarr", [SHARDED, PLAIN, replace(PLAIN, name="more")])["more"][:] = 1


@pytest.mark.parametrize(
    "changes",
    [{"shape": (9, 6)}, {"dtype": "u2"}, {"chunks": (2, 6)}, {"shards": None}, {"fill_value": 0}, {"units": "px"}],
)
def test_another_spec_is_refused(tmp_path, changes):
    create_arrays(tmp_path / "x.zarr", [SHARDED])
    with pytest.raises(InputError, match="another layout"):
        create_arrays(tmp_path / "x.zarr", [replace(SHARDED, **changes)])
    with pytest.raises(InputError, match="another layout"):
        create_arrays(tmp_path / "x.zarr", [SHARDED], {"note": 1})


def test_equal_content_equal_bytes(tmp_path, artifact):
    def in_another_order(build):
        group = create_arrays(build.path / "x.zarr", [replace(PLAIN, attributes={"a": 1, "frame_of": "ego"}), SHARDED],
                              {"b": [1], "note": "hello"})  # fmt: skip
        group["poses"][:], group["ids"][4:], group["ids"][:4] = POSES, IDS[4:], IDS[:4]
        return {}

    other, _ = Store(tmp_path / "other").get_or_build(KeySpec("toy", 1, {}), {}, in_another_order)
    assert other.output_digest == artifact.output_digest


def test_chunks_of_the_fill_value_are_written(tmp_path):
    group = create_arrays(tmp_path / "x.zarr", [SHARDED, PLAIN])
    group["ids"][:], group["poses"][:] = 255, 0
    assert len(list((tmp_path / "x.zarr" / "ids" / "c").rglob("*"))) == 2 + 2  # two shards, in a folder each
    group = open_arrays(tmp_path / "x.zarr", "r+")
    group["poses"][:] = 0
    assert len([file for file in (tmp_path / "x.zarr" / "poses" / "c").rglob("*") if file.is_file()]) == 3


def test_artifacts_are_read_only(artifact):
    group = open_arrays(artifact.path / "x.zarr")
    with pytest.raises(ValueError, match="read-only"):
        group["ids"][0] = 1


def test_group_travels_to_another_process(artifact):
    group = pickle.loads(pickle.dumps(open_arrays(artifact.path / "x.zarr")))
    np.testing.assert_array_equal(group["ids"][2], IDS[2])


def test_absent_group(tmp_path):
    with pytest.raises(InputError, match="no Zarr group"):
        open_arrays(tmp_path / "x.zarr")


@pytest.mark.parametrize(("name", "chunk"), [("ids", "ids/c/1/0"), ("poses", "poses/c/0/0")])
def test_lost_chunk_is_an_error_that_names_it(artifact, name, chunk):
    (artifact.path / "x.zarr" / chunk).unlink()
    group = open_arrays(artifact.path / "x.zarr")
    with pytest.raises(InputError, match=f"chunk {chunk} is missing .artifact toy {artifact.key[:12]}"):
        group[name][:]


def test_chunk_never_written_reads_as_fill_value(tmp_path):
    def leave_out(build):
        create_arrays(build.path / "x.zarr", [SHARDED])["ids"][:4] = 1
        return {}

    artifact, _ = Store(tmp_path / "cache").get_or_build(KeySpec("toy", 1, {}), {}, leave_out)
    assert (open_arrays(artifact.path / "x.zarr")["ids"][4:] == 255).all()


def test_every_flipped_bit_is_an_error_that_names_the_repair(artifact):
    for name, chunk, truth, step in (("poses", "c/0/0", POSES, 3), ("ids", "c/0/0", IDS, 11)):
        file = artifact.path / "x.zarr" / name / chunk
        whole = file.read_bytes()
        array = open_arrays(artifact.path / "x.zarr")[name]
        for bit in range(0, len(whole) * 8, step):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            with pytest.raises(InputError, match=rf"{chunk} is damaged .*bevprior repair {artifact.key[:12]}"):
                array[:]
        file.write_bytes(whole)
        np.testing.assert_array_equal(array[:], truth)


def test_cut_chunk_is_an_error(artifact):
    for name, chunk in (("poses", "c/0/0"), ("ids", "c/0/0")):
        file = artifact.path / "x.zarr" / name / chunk
        whole = file.read_bytes()
        for size in (0, 1, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:size])
            with pytest.raises(InputError, match=f"chunk {name}/{chunk} is cut short.*bevprior repair"):
                open_arrays(artifact.path / "x.zarr")[name][:]
        file.write_bytes(whole)


def test_damaged_metadata_are_an_error(artifact):
    for file in ("zarr.json", "ids/zarr.json", "poses/zarr.json"):
        path = artifact.path / "x.zarr" / file
        whole = path.read_text()
        path.write_text(whole.replace("1", "2") + " ")
        with pytest.raises(InputError, match="metadata are damaged"):
            open_arrays(artifact.path / "x.zarr")
        path.write_text(whole)
    (artifact.path / "x.zarr" / "zarr.json").rename(artifact.path / "x.zarr" / "gone.json")
    with pytest.raises(InputError, match=r"metadata are damaged.*bevprior repair"):
        open_arrays(artifact.path / "x.zarr")
    (artifact.path / "x.zarr" / "gone.json").rename(artifact.path / "x.zarr" / "zarr.json")
    shutil.rmtree(artifact.path / "x.zarr" / "ids")
    with pytest.raises(InputError, match="metadata are damaged"):
        open_arrays(artifact.path / "x.zarr")


def test_an_error_is_one_line_even_at_exit(tmp_path):
    """Many requests are under way when one fails, and the process ends at once."""
    code = """
        import pathlib, sys
        from cache.arrays import ArraySpec, create_arrays, open_arrays
        from cache.keys import KeySpec
        from cache.store import Store
        from scene.errors import InputError

        def fill(build):
            spec = ArraySpec("a", (200, 200), "u1", (10, 20), None, ("x", "y"), 255)
            create_arrays(build.path / "x.zarr", [spec])["a"][:] = 1
            return {}

        path = Store(pathlib.Path(sys.argv[1])).get_or_build(KeySpec("toy", 1, {}), {}, fill)[0].path / "x.zarr"
        (path / "a/c/0/0").unlink()
        try:
            open_arrays(path)["a"][:]
        except InputError as error:
            sys.exit(str(error))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "chunk a/c/0/0 is missing" in done.stderr
