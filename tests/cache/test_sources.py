import sys

import pytest

from cache.keys import KeySpec
from cache.sources import changed_sources, source_digest, source_files
from cache.store import Store


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "code" / "outer_package" / "inner"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("a = 1\n")
    (folder / "run.py").write_text("raise RuntimeError('never imported')\n")
    (folder / "notes.txt").write_text("not a source")
    monkeypatch.syspath_prepend(tmp_path / "code")
    for name in ("outer_package", "outer_package.inner"):  # imported from the last test's folder
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def test_files_of_packages_and_modules(package):
    inner = ["outer_package/inner/__init__.py", "outer_package/inner/run.py"]
    assert list(source_files(["outer_package.inner"])) == inner
    assert list(source_files(["outer_package"])) == ["outer_package/__init__.py", *inner]
    assert list(source_files(["outer_package.inner.run"])) == inner[1:]
    with pytest.raises(ModuleNotFoundError):
        source_files(["outer_package.absent"])


def test_digest_follows_content_and_not_order(package):
    before = source_digest(["outer_package.inner", "scene"])
    assert before == source_digest(["scene", "outer_package.inner"])
    (package / "run.py").write_text("# a comment\n")
    assert source_digest(["outer_package.inner", "scene"]) != before


def test_changed_files_are_named(package, tmp_path):
    spec = KeySpec("toy", 1, {})
    names = ("outer_package.inner",)
    artifact, _ = Store(tmp_path / "cache").get_or_build(spec, {}, lambda _: {}, sources=names)
    assert artifact.manifest.provenance["source_digest"] == source_digest(names)
    assert changed_sources(artifact.manifest, names) == []
    (package / "run.py").write_text("b = 2\n")
    (package / "new.py").write_text("")
    assert changed_sources(artifact.manifest, names) == ["outer_package/inner/new.py", "outer_package/inner/run.py"]


def test_unknown_sources_warn_of_nothing(package, tmp_path):
    artifact, _ = Store(tmp_path / "cache").get_or_build(KeySpec("toy", 1, {}), {}, lambda _: {})
    assert changed_sources(artifact.manifest, ("outer_package",)) == []
