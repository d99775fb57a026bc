import http.server
import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from cache import remote, streams
from cache.durable import PARTIAL
from cache.manifest import FileEntry
from cache.objects import ABSENT
from cache.remote import PART_BYTES, RemoteObjects
from scene.errors import InputError
from tests.cache import s3

MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture
def objects(bucket_url: str) -> RemoteObjects:
    return RemoteObjects(bucket_url)


@pytest.fixture
def road(s3_port: int, bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Road]:
    """The way to the bucket from now on."""
    with s3.Road(s3_port) as road:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{road.port}")
        yield road


def entry(data: bytes) -> FileEntry:
    return FileEntry(len(data), sha256(data).hexdigest())


def refused(call: Callable[[], object]) -> str:
    """The one line in which `call` fails, with no secret in it."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert s3.SECRET not in message
    assert caught.value.fix
    return message


def every_call(objects: RemoteObjects, folder: Path) -> list[Callable[[], object]]:
    file = folder / "file"
    file.write_bytes(b"1")
    return [
        lambda: objects.check_access(),
        lambda: objects.read("a"),
        lambda: objects.put("a", b""),
        lambda: objects.put("a", b"", expect=ABSENT),
        lambda: objects.put("a", b"", expect='"1"'),
        lambda: objects.delete("a"),
        lambda: list(objects.scan("a")),
        lambda: objects.folders("a"),
        lambda: objects.delete_all("a"),
        lambda: objects.upload("a", file),
        lambda: objects.download("a", folder / "out" / "a", bytes=1, sha256=entry(b"1").sha256),
    ]


@pytest.mark.parametrize("data", [b"", b"1", MEGABYTE, MEGABYTE * 6])
def test_what_is_uploaded_is_downloaded(objects: RemoteObjects, tmp_path: Path, data: bytes) -> None:
    assert len(MEGABYTE * 6) > PART_BYTES  # so it goes in parts
    (tmp_path / "here").write_bytes(data)
    objects.upload("a/b", tmp_path / "here")
    objects.download("a/b", tmp_path / "new" / "there", bytes=len(data), sha256=sha256(data).hexdigest())
    assert (tmp_path / "new" / "there").read_bytes() == data
    assert list(objects.scan("a")) == [("a/b", len(data))]


def test_many_go_and_come_with_a_progress_bar(
    objects: RemoteObjects, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SHOW_AFTER_S", 0)
    contents = {f"many/{number}": bytes([number]) * 1000 * number for number in range(30)}
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    objects.upload_all(((name, tmp_path / name) for name in contents), progress=True)
    items = [(name, tmp_path / "back" / name, entry(data)) for name, data in contents.items()]
    objects.download_all(iter(items), progress=True)
    assert {name: file.read_bytes() for name, file, _ in items} == contents
    bars = capsys.readouterr().err
    assert "upload: 100%" in bars
    assert "download: 100%" in bars
    assert "435k/435k" in bars


@pytest.mark.parametrize("there", [b"12345678x", b"1234567", b"12345679"], ids=["longer", "shorter", "other"])
def test_other_bytes_than_were_written_are_refused(objects: RemoteObjects, tmp_path: Path, there: bytes) -> None:
    objects.put("a", there)
    message = refused(lambda: objects.download_all([("a", tmp_path / "a", entry(b"12345678"))], progress=False))
    assert f"object is damaged: {'its SHA-256' if len(there) == 8 else f'{len(there)} bytes arrived'}" in message
    assert f"{objects.url}/a" in message
    assert list(tmp_path.iterdir()) == []


def test_the_file_that_was_there_stays_where_a_download_fails(objects: RemoteObjects, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    objects.put("a", b"damaged")
    refused(lambda: objects.download("a", tmp_path / "a", bytes=7, sha256="0" * 64))
    assert (tmp_path / "a").read_bytes() == b"before"
    assert list(tmp_path.glob(f"*{PARTIAL}")) == []


def test_a_missing_object_is_named(objects: RemoteObjects, tmp_path: Path) -> None:
    message = refused(lambda: objects.download("a/b", tmp_path / "b", bytes=1, sha256="0" * 64))
    assert f"has no such object ({objects.url}/a/b)" in message
    assert list(tmp_path.iterdir()) == []


def test_the_first_failure_cancels_the_rest(objects: RemoteObjects, tmp_path: Path) -> None:
    objects.put("good", MEGABYTE)
    items = [("bad", tmp_path / "bad", entry(b""))]
    items += [("good", tmp_path / str(number), entry(MEGABYTE)) for number in range(200)]
    assert "has no such object" in refused(lambda: objects.download_all(items, progress=False))
    assert list(tmp_path.glob(f"*{PARTIAL}")) == []
    assert len(list(tmp_path.iterdir())) < 100


def test_an_interrupted_download_leaves_no_file(bucket_url: str, road: s3.Road, tmp_path: Path) -> None:
    objects = RemoteObjects(bucket_url)
    objects.put("a", MEGABYTE)
    road.cut_after = 100_000
    message = refused(lambda: objects.download("a", tmp_path / "a", bytes=len(MEGABYTE), sha256=entry(MEGABYTE).sha256))
    assert "does not answer" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("expect", [None, ABSENT, "the version"])
def test_a_write_whose_answer_is_lost_was_still_ours(objects: RemoteObjects, road: s3.Road, expect: str | None) -> None:
    if expect == "the version":
        expect = objects.put("a", b"before")
    far = RemoteObjects(objects.url)
    road.swallow_answers = 1
    version = far.put("a", b"mine", expect=expect)
    assert road.swallow_answers == 0
    assert objects.read("a").version == version  # type: ignore[union-attr]
    assert objects.read("a").data == b"mine"  # type: ignore[union-attr]


def test_a_deletion_whose_answer_is_lost_is_done(objects: RemoteObjects, road: s3.Road) -> None:
    far = RemoteObjects(objects.url)
    for name in ["a/1", "a/2", "b"]:
        objects.put(name, b"1")
    road.swallow_answers = 1
    far.delete("b")
    assert road.swallow_answers == 0
    assert objects.read("b") is None
    road.swallow_answers = 1
    far.delete_all("a")
    assert list(objects.scan("a")) == []


@pytest.fixture(params=["refuses", "says nothing"])
def dead_port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port where nobody listens, or somebody who never answers."""
    monkeypatch.setattr(remote, "SILENCE_S", 0.1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "says nothing":
            listener.listen(100)
        yield listener.getsockname()[1]


def test_a_dead_endpoint_is_one_line(dead_port: int, tmp_path: Path) -> None:
    with s3.environment(dead_port):
        objects = RemoteObjects("s3://tests/place")
        calls = every_call(objects, tmp_path)
        with ThreadPoolExecutor(len(calls)) as pool:
            messages = list(pool.map(refused, calls))
        for message in messages:
            assert f"the object store at 127.0.0.1:{dead_port} does not answer (s3://tests/place)" in message
        assert not (tmp_path / "out" / "a").exists()


def test_a_missing_bucket_is_one_line(objects: RemoteObjects, tmp_path: Path) -> None:
    for call in every_call(RemoteObjects("s3://other/place"), tmp_path):
        assert "has no such bucket (s3://other/place): create it" in refused(call)


def test_rejected_credentials_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1")  # moto checks credentials after the bucket's creation
    with s3.server() as port, s3.environment(port):
        for call in every_call(RemoteObjects("s3://tests/place"), tmp_path):
            assert "does not accept the credentials (InvalidAccessKeyId)" in refused(call)


def test_a_server_with_conditional_writes_passes_and_keeps_no_trace(objects: RemoteObjects) -> None:
    objects.check_swaps()
    assert list(objects.scan("access")) == []


def test_a_server_without_conditional_writes_is_found_out() -> None:
    with s3.server("--deaf") as port, s3.environment(port):
        objects = RemoteObjects("s3://tests/place")
        assert "has no conditional writes (s3://tests/place)" in refused(objects.check_swaps)
        assert list(objects.scan("access")) == []


def test_what_is_no_object_store_has_no_absent_objects(tmp_path: Path) -> None:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with s3.environment(server.server_port):
            objects = RemoteObjects("s3://tests/place")
            assert "answers with status 404" in refused(lambda: objects.read("a"))
            assert "answers with status 501" in refused(lambda: objects.put("a", b"", expect=ABSENT))
        server.shutdown()


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///a",
        "s3://key:secret@bucket/a",
        "s3://bucket/../a",
        "s3://bucket//a",
        "http://bucket/a",
        "ftp://me:secret@host/a",
    ],
)
def test_urls_that_name_no_bucket(bucket_url: str, url: str) -> None:
    message = refused(lambda: RemoteObjects(url))
    assert "write it as s3://bucket/prefix" in message
    assert "secret" not in message


def test_a_bucket_without_a_prefix(bucket_url: str) -> None:
    objects = RemoteObjects("s3://tests/")
    name = bucket_url.rpartition("/")[2]
    objects.put(f"{name}/a", b"1")
    assert RemoteObjects(bucket_url).read("a").data == b"1"  # type: ignore[union-attr]
    assert name in {found.partition("/")[0] for found, _ in objects.scan(name)}


def test_no_credentials_are_one_line_before_anything_is_sent(bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no credentials for the object store" in refused(lambda: RemoteObjects(bucket_url))


def test_credentials_go_over_http_to_this_machine_only(bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example:9000")
    assert "is not encrypted" in refused(lambda: RemoteObjects(bucket_url))
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    RemoteObjects(bucket_url)
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://storage.example:9000")
    RemoteObjects(bucket_url)


def test_it_goes_to_other_processes_without_the_credentials(objects: RemoteObjects) -> None:
    objects.put("a", b"1")
    pickled = pickle.dumps(objects)
    assert s3.SECRET.encode() not in pickled
    assert pickle.loads(pickled).read("a").data == b"1"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_after_a_fork_it_says_so_and_does_not_hang(objects: RemoteObjects) -> None:
    objects.put("a", b"1")
    child = os.fork()
    if child == 0:
        try:
            objects.read("a")
        except RuntimeError as error:
            os._exit(7 if "spawn" in str(error) else 1)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_a_killed_check_left_does_not_make_a_place_foreign(objects: RemoteObjects) -> None:
    assert objects.is_empty()
    objects.put("access/0123", b"first", expect=ABSENT)
    assert objects.is_empty()
    objects.put("accessories/0123", b"someone's")
    assert not objects.is_empty()
