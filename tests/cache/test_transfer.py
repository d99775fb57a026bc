"""Artifacts that go elsewhere: to another cache, or through a tar file."""

import io
import tarfile
from pathlib import Path

import pytest

from cache.archive import export_tar, import_tar
from cache.gc import collect, survey
from cache.keys import KeySpec
from cache.store import Artifact, Store
from cache.transfer import lineage, transfer
from cache.verify import verify
from scene.errors import InputError
from tests.cache import toy


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Store, Artifact, Artifact]:
    """A store with a toy artifact and a child of it."""
    store = Store(tmp_path / "cache")
    parent, _ = toy.recipe(tmp_path / "cache")
    spec = KeySpec("child", 1, {}, {"toy": parent.output_digest})

    def fill(build):
        (build.path / "deep" / "er").mkdir(parents=True)
        (build.path / "deep" / "er" / "x").write_text("x")
        return {}

    child, _ = store.get_or_build(spec, {"toy": parent.key}, fill)
    return store, parent, child


def test_lineage_comes_first_and_nothing_twice(chain, tmp_path):
    store, parent, child = chain
    other = Store(tmp_path / "other")
    done = list(transfer(store, other, lineage(store, [child.key])))
    assert [(item.key, item.copied) for item in done] == [(parent.key, True), (child.key, True)]
    assert [item.copied for item in transfer(store, other, lineage(store, [child.key]))] == [False, False]
    assert [a.output_digest for a in other.artifacts()] == [a.output_digest for a in store.artifacts()]
    assert toy.recipe(tmp_path / "other")[1], "the copy is a hit"
    assert [entry.name for entry in (tmp_path / "other" / "trash").iterdir()] == []


def test_garbage_collection_leaves_a_copy_under_way_alone(chain, tmp_path):
    store, parent, child = chain
    other = Store(tmp_path / "other")
    for name in ("toy-0-left", "toy-1-left"):
        (tmp_path / "other" / "trash" / name).mkdir(parents=True)
        (tmp_path / "other" / "trash" / name / "x").write_text("by a copy that was killed")
    (tmp_path / "other" / "bevprior-cache.json").write_text('{"layout": 2}')
    gone = []

    def collect_meanwhile(_: int) -> None:
        gone.extend(item.name for item in collect(other, survey(other).garbage))

    done = list(transfer(store, other, lineage(store, [child.key]), collect_meanwhile))
    assert [(item.key, item.copied) for item in done] == [(parent.key, True), (child.key, True)]
    assert list(verify(other, other.entries(), full=True)) == []
    assert gone == ["trash/toy-0-left", "trash/toy-1-left"]


def test_damage_is_not_passed_on(chain, tmp_path):
    store, parent, _ = chain
    text = parent.path / "text.txt"
    text.write_bytes(text.read_bytes().replace(b"half", b"HALF"))
    other = Store(tmp_path / "other")
    with pytest.raises(InputError, match=r"damaged.*text\.txt.*bevprior repair"):
        list(transfer(store, other, lineage(store, [parent.key])))
    assert other.artifacts() == []


def test_unknown_key(chain):
    with pytest.raises(InputError, match="no artifact has the key"):
        lineage(chain[0], ["0" * 64])


def test_through_a_tar_file(chain, tmp_path):
    store, _, child = chain
    first, second = tmp_path / "a.tar", tmp_path / "b.tar"
    export_tar(lineage(store, [child.key]), first)
    export_tar(lineage(store, [child.key]), second)
    assert first.read_bytes() == second.read_bytes(), "equal artifacts, equal archives"
    other = Store(tmp_path / "other")
    assert [item.copied for item in import_tar(other, first)] == [True, True]
    assert [item.copied for item in import_tar(other, first)] == [False, False]
    assert {a.key for a in other.artifacts()} == {a.key for a in store.artifacts()}
    with pytest.raises(InputError, match="exists"):
        export_tar([], first)


def rewritten(tmp_path: Path, source: Path, change) -> Path:
    """The archive with each member passed through `change(member, content) -> list of members`."""
    target = tmp_path / "evil.tar"
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member).read()
            for altered, data in change(member, content):
                altered.size = len(data) if altered.isreg() else 0
                new.addfile(altered, io.BytesIO(data))
    return target


def named(member, name):
    member.name = name
    return member


def link(member, kind, target):
    member.type, member.linkname = kind, target
    return member


def only(suffix, change):
    """Changes the members whose names end so, leaves the others."""
    return lambda member, content: change(member, content) if member.name.endswith(suffix) else [(member, content)]


EVIL = {
    "a link": only("text.txt", lambda m, _: [(link(m, tarfile.SYMTYPE, "/etc/passwd"), b"")]),
    "a hard link": only("text.txt", lambda m, _: [(link(m, tarfile.LNKTYPE, "manifest.json"), b"")]),
    "a device": only("text.txt", lambda m, _: [(link(m, tarfile.CHRTYPE, ""), b"")]),
    "a folder": only("text.txt", lambda m, _: [(link(m, tarfile.DIRTYPE, ""), b"")]),
    "a way out": only("text.txt", lambda m, c: [(named(m, m.name.replace("text.txt", "../../../../x")), c)]),
    "an absolute name": only("text.txt", lambda m, c: [(named(m, "/tmp/x"), c)]),
    "another folder": only("text.txt", lambda m, c: [(named(m, "pins/x.json"), c)]),
    "a changed byte": only("text.txt", lambda m, c: [(m, c.replace(b"half", b"HALF"))]),
    "a file cut short": only("text.txt", lambda m, c: [(m, c[:-1])]),
    "a file too many": only("text.txt", lambda m, c: [(named(tarfile.TarInfo(), f"{m.name}.more"), b"x"), (m, c)]),
    "a file twice": only("text.txt", lambda m, c: [(m, c), (m, c)]),
    "a file missing": only("text.txt", lambda *_: []),
    "no manifest": only("manifest.json", lambda *_: []),
    "a changed manifest": only("manifest.json", lambda m, c: [(m, c.replace(b'"slope": 3', b'"slope": 4'))]),
    "a newer manifest": only("manifest.json", lambda m, c: [(m, c.replace(b'"format": 2', b'"format": 9'))]),
    "another key": lambda m, c: [(named(m, m.name.replace(toy.spec().key, "0" * 64)), c)],
}


@pytest.mark.parametrize("what", EVIL)
def test_an_archive_that_is_not_ours_is_refused(what, tmp_path):
    parent, _ = toy.recipe(tmp_path / "cache")
    export_tar([parent], tmp_path / "good.tar")
    evil = rewritten(tmp_path, tmp_path / "good.tar", EVIL[what])
    other = Store(tmp_path / "other")
    with pytest.raises(InputError) as caught:
        list(import_tar(other, evil))
    assert "\n" not in str(caught.value)
    assert other.artifacts() == []
    left = [path for path in (tmp_path / "other").rglob("*") if path.is_file()]
    assert [path.name for path in left] in ([], ["bevprior-cache.json"])


@pytest.mark.parametrize("content", [b"", b"not a tar file", b"\0" * 10240])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    store = Store(tmp_path / "cache")
    try:
        assert list(import_tar(store, tmp_path / "x.tar")) == []
        assert content.count(b"\0") == len(content) > 0  # an empty archive
    except InputError as error:
        assert "cannot read the archive" in str(error)  # noqa: PT017
    with pytest.raises(InputError, match="cannot read the archive"):
        list(import_tar(store, tmp_path / "absent.tar"))
