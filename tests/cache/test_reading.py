import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ZstdCodec

from cache.arrays import ArraySpec, create_arrays, open_arrays
from cache.handles import HANDLES, Handles
from cache.keys import KeySpec
from cache.layout import DTYPES
from cache.reading import ArrayReader, GroupReader
from cache.store import Store
from scene.errors import InputError

SPECS = [
    ArraySpec("ids", (10, 3, 8, 6), "u1", (1, 1, 8, 6), (4, 3, 8, 6), ("frame", "camera", "row", "column"), 255),
    ArraySpec("cells", (10, 7, 5), "u2", (2, 3, 5), (4, 6, 5), ("frame", "x", "y"), 65535),
    ArraySpec("poses", (10, 4, 4), "f8", (4, 4, 4), None, ("frame", "row", "column"), np.nan, "m"),
    ArraySpec("flags", (10,), "?", (3,), None, ("frame",), False),
]
SIZES = {spec.name: spec.shape[0] for spec in SPECS}


def content(spec: ArraySpec) -> np.ndarray:
    numbers = np.random.default_rng(len(spec.name)).integers(0, 5, spec.shape)
    return numbers.astype(spec.dtype)


def fill(build):
    group = create_arrays(build.path / "x.zarr", SPECS)
    for spec in SPECS:
        group[spec.name][:] = content(spec)
    return {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("cache")).get_or_build(KeySpec("toy", 1, {}), {}, fill)[0]


@pytest.fixture
def artifact(finished, tmp_path):
    """A copy to be damaged."""
    shutil.copytree(finished.path, tmp_path / finished.path.name)
    yield type(finished).open(tmp_path / finished.path.name)
    HANDLES.clear()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_reads_what_zarr_reads(finished, spec):
    array = GroupReader(finished.path / "x.zarr")[spec.name]
    assert (array.shape, array.dtype, array.dims, len(array)) == (spec.shape, spec.dtype, spec.dims, spec.shape[0])
    truth = zarr.open_group(str(finished.path / "x.zarr"), mode="r")[spec.name][:]
    for row in (*range(-10, 10), np.int64(3)):
        np.testing.assert_array_equal(array.read(row), truth[row])
        assert array.read(row).shape == spec.shape[1:]
    for rows in (slice(None), slice(3, 9), slice(5, 5), slice(-3, None), slice(8, 2), slice(0, 99)):
        read = array.read(rows)
        np.testing.assert_array_equal(read, truth[rows])
        assert read.dtype == truth.dtype
        assert read.flags.owndata


@given(data=st.data(), shape=array_shapes(min_dims=1, max_dims=3, max_side=7), sharded=st.booleans())
@settings(max_examples=150, deadline=None)
def test_reads_what_zarr_reads_in_any_chunks(tmp_path_factory, data, shape, sharded):
    chunk = tuple(data.draw(st.integers(1, size + 1), label="chunk") for size in shape)
    shard = tuple(c * data.draw(st.integers(1, 3), label="chunks") for c in chunk) if sharded else None
    dtype = data.draw(st.sampled_from(sorted(DTYPES)), label="dtype")
    written = data.draw(st.integers(0, shape[0]), label="rows written")
    path = tmp_path_factory.mktemp("any") / "x.zarr"
    truth = np.random.default_rng(0).integers(0, 2**15, shape).astype(dtype)
    group = create_arrays(path, [ArraySpec("a", shape, dtype, chunk, shard, tuple("xyz"[: len(shape)]), 1)])
    group["a"][:written] = truth[:written]
    array, expected = GroupReader(path)["a"], group["a"][:]
    np.testing.assert_array_equal(array.read(slice(None)), expected)
    for row in range(shape[0]):
        np.testing.assert_array_equal(array.read(row), expected[row])


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize(
    "compressors",
    [
        [ZstdCodec(level=12, checksum=True)],
        [ZstdCodec(level=1), Crc32cCodec()],
        [BloscCodec(cname="lz4hc", clevel=5, shuffle="noshuffle"), Crc32cCodec()],
        [BloscCodec(cname="zstd", shuffle="bitshuffle"), Crc32cCodec()],
        [Crc32cCodec()],
    ],
    ids=lambda codecs: "+".join(type(codec).__name__ for codec in codecs),
)
def test_reads_every_codec_with_a_checksum_and_notices_damage(tmp_path, compressors, sharded):
    shards = (4, 300) if sharded else None
    options = {"shards": shards, "compressors": compressors, "fill_value": 9}
    array = zarr.create_array(tmp_path / "a", shape=(5, 300), dtype="i4", chunks=(2, 100), **options)
    truth = np.random.default_rng(0).integers(0, 3, array.shape, np.int32)
    array[:] = truth
    np.testing.assert_array_equal(ArrayReader(tmp_path / "a").read(slice(None)), truth)
    file = tmp_path / "a" / "c" / "0" / "0"
    for bit in random.Random(0).sample(range(file.stat().st_size * 8), 60):
        assert_never_wrong(lambda: ArrayReader(tmp_path / "a").read(slice(None)), truth, file, flipped(file, bit))


def test_no_such_element(finished):
    array = GroupReader(finished.path / "x.zarr")["ids"]
    for row in (10, -11):
        with pytest.raises(IndexError, match="no element"):
            array.read(row)
    with pytest.raises(ValueError, match="step 1"):
        array.read(slice(0, 4, 2))
    with pytest.raises(KeyError):
        GroupReader(finished.path / "x.zarr")["nothing"]


def flipped(file: Path, bit: int) -> bytes:
    damaged = bytearray(file.read_bytes())
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def assert_never_wrong(read, truth, file: Path, damaged: bytes | None, message: str = "chunk .*") -> bool:
    """Whether damage, undone afterwards, was noticed. Data that are read must be right."""
    whole = file.read_bytes()
    HANDLES.clear()
    file.unlink()
    if damaged is not None:
        file.write_bytes(damaged)
    try:
        np.testing.assert_array_equal(read(), truth)
    except InputError as error:
        if not re.search(message, str(error)):
            raise
        return True
    finally:
        file.write_bytes(whole)
        HANDLES.clear()
    return False


def test_damage_is_an_error_that_names_artifact_and_chunk(artifact):
    chance = random.Random(1)
    group = GroupReader(artifact.path / "x.zarr")
    num_flips = num_noticed = 0
    files = {spec.name: sorted(f for f in (artifact.path / "x.zarr" / spec.name / "c").rglob("*") if f.is_file())
             for spec in SPECS}  # fmt: skip
    for kind, _ in product(("flip", "cut", "grow", "delete"), range(60)):
        spec = chance.choice(SPECS)
        file = chance.choice(files[spec.name])
        size = file.stat().st_size
        damaged = {
            "flip": lambda file=file, size=size: flipped(file, chance.randrange(size * 8)),
            "cut": lambda file=file, size=size: file.read_bytes()[: chance.randrange(size)],
            "grow": lambda file=file: file.read_bytes() + b"\0",
            "delete": lambda: None,
        }[kind]()
        chunk = f"{spec.name}/{file.relative_to(artifact.path / 'x.zarr' / spec.name)}"
        key = artifact.key[:12]
        message = rf"^chunk {chunk} is .*\(artifact toy {key}, .*x.zarr/{spec.name}\): bevprior repair {key}"
        noticed = assert_never_wrong(
            lambda name=spec.name: group[name].read(slice(None)), content(spec), file, damaged, message
        )
        assert noticed or kind == "flip"
        num_flips += kind == "flip"
        num_noticed += kind == "flip" and noticed
    assert num_noticed >= num_flips - 1  # Zstandard has bits that mean nothing: flipped, the data are still right


def test_damage_done_while_the_file_is_open(artifact):
    array = GroupReader(artifact.path / "x.zarr")["ids"]
    array.read(0)
    file = artifact.path / "x.zarr/ids/c/0/0/0/0"
    whole = file.read_bytes()
    os.truncate(file, 40)
    with pytest.raises(InputError, match="cut short"):
        array.read(3)
    with pytest.raises(InputError, match=f"40 bytes instead of {len(whole)}"):
        array.read(3)
    file.write_bytes(whole)
    np.testing.assert_array_equal(array.read(3), content(SPECS[0])[3])


def test_damaged_metadata_are_an_error(artifact):
    for name in ("zarr.json", "ids/zarr.json"):
        file = artifact.path / "x.zarr" / name
        whole = file.read_text()
        for damaged in (whole + " ", None):
            file.write_text(damaged) if damaged else file.unlink()
            with pytest.raises(InputError, match=r"metadata are damaged .*: bevprior repair"):
                GroupReader(artifact.path / "x.zarr")
            file.write_text(whole)
    with pytest.raises(InputError, match="no Zarr metadata"):
        GroupReader(artifact.path.parent / "x.zarr")


def test_permission_lost_is_not_called_damage(artifact, monkeypatch):
    array = GroupReader(artifact.path / "x.zarr")["ids"]

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied .*: check the disk"):
        array.read(0)


def test_unlisted_file_is_not_read(tmp_path):
    def leave_out(build):
        create_arrays(build.path / "x.zarr", [SPECS[0]])["ids"][:4] = 1
        return {}

    artifact, _ = Store(tmp_path).get_or_build(KeySpec("toy", 1, {}), {}, leave_out)
    chunks = artifact.path / "x.zarr/ids/c"
    shutil.copytree(chunks / "0", chunks / "1")
    assert (GroupReader(artifact.path / "x.zarr")["ids"].read(slice(4, None)) == 255).all()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"zarr_format": 2}, "format"),
        ({"chunk_grid": {"name": "rectilinear"}}, "chunk grid rectilinear"),
        ({"chunk_key_encoding": {"name": "v2"}}, "chunk keys v2"),
        ({"data_type": "string"}, "data type string"),
        ({"codecs": []}, "codecs: none"),
        ({"codecs": [{"name": "transpose"}]}, "codecs transpose"),
        ({"codecs": [BytesCodec(endian="big").to_dict(), ZstdCodec(checksum=True).to_dict()]}, "byte order big"),
        ({"codecs": [BytesCodec().to_dict(), ZstdCodec().to_dict()]}, "without a checksum"),
        ({"codecs": [BytesCodec().to_dict(), BloscCodec(typesize=8).to_dict()]}, "without a checksum"),
        ({"codecs": [BytesCodec().to_dict(), GzipCodec().to_dict(), Crc32cCodec().to_dict()]}, "gzip"),
        ({"codecs": [BytesCodec().to_dict()]}, "without a checksum"),
        ({"shape": [], "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": []}}}, "shape"),
        ({"storage_transformers": [{"name": "x"}]}, "storage transformers"),
    ],
)
def test_other_layouts_are_refused(tmp_path, changes, what):
    create_arrays(tmp_path / "x.zarr", [SPECS[2]])
    file = tmp_path / "x.zarr/poses/zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes, default=lambda value: value.value))
    with pytest.raises(InputError, match=f"no array as the cache writes them: .*{what}.*: read it with the zarr"):
        GroupReader(tmp_path / "x.zarr")


def read_rows(array: ArrayReader, rows: list[int]) -> list[bytes]:
    return [array.read(row).tobytes() for row in rows]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_workers_read_what_the_parent_gave_them(finished, start):
    array = GroupReader(finished.path / "x.zarr")["ids"]
    array.read(0)  # opened here before the fork
    rows = [list(range(first, 10, 2)) for first in range(2)]
    with multiprocessing.get_context(start).Pool(2) as pool:
        read = pool.starmap(read_rows, [(array, some) for some in rows])
    truth = content(SPECS[0])
    assert read == [[truth[row].tobytes() for row in some] for some in rows]


def test_fork_while_another_thread_holds_the_lock():
    with HANDLES._lock:
        child = os.fork()
        if child == 0:
            os._exit(7 if HANDLES._lock.acquire(timeout=5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_pickles_without_what_is_open(finished):
    group = GroupReader(finished.path / "x.zarr")
    group["ids"].read(0)
    for copy in (pickle.loads(pickle.dumps(group))["ids"], pickle.loads(pickle.dumps(group["ids"]))):
        np.testing.assert_array_equal(copy.read(5), content(SPECS[0])[5])


def test_threads_share_few_open_files(finished, monkeypatch):
    handles = Handles(limit=2)
    monkeypatch.setattr("cache.reading.HANDLES", handles)
    group = GroupReader(finished.path / "x.zarr")
    jobs = [(spec, row) for spec in SPECS for row in range(10)] * 10
    random.Random(0).shuffle(jobs)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ThreadPoolExecutor(8) as pool:
        for (spec, row), read in zip(jobs, pool.map(lambda job: group[job[0].name].read(job[1]), jobs), strict=True):
            np.testing.assert_array_equal(read, content(spec)[row])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def test_reading_needs_no_zarr(finished):
    """Workers start faster, and no event loop runs in them."""
    code = "import sys, cache.reading as r, pathlib; r.GroupReader(pathlib.Path(sys.argv[1]))['ids'].read(0);"
    code += "sys.exit('zarr' in sys.modules or 'asyncio' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(finished.path / "x.zarr")], check=True)


def test_same_as_through_zarr_in_an_artifact(finished):
    group, readers = open_arrays(finished.path / "x.zarr"), GroupReader(finished.path / "x.zarr")
    assert sorted(readers) == sorted(SIZES)
    for name in readers:
        np.testing.assert_array_equal(readers[name].read(slice(None)), group[name][:])
