import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import KeySpec
from cache.manifest import MANIFEST_FORMAT, Artifact, FileEntry, Manifest, digest_of_files
from scene.errors import InputError

SPEC = KeySpec("toy", 1, {"a": 0.5}, {"index": "d"}, {"w": "x"})
MANIFEST = Manifest(
    SPEC,
    {"index": "k"},
    {"b.txt": FileEntry(1, "0" * 64), "a/c.bin": FileEntry(2, "1" * 64)},
    {"x": {"shape": [1]}},
    {"loss": 0.1},
    {"python": "3", "recorded": {"n": 1}},
)


@given(st.dictionaries(st.text(), st.text()))
def test_the_output_digest_is_over_plain_json_lines(digests):
    lines = [json.dumps([path, digests[path]]) for path in sorted(digests)]
    expected = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest_of_files({path: FileEntry(1, digest) for path, digest in digests.items()}) == expected


def edited(**changes):
    return json.dumps({**json.loads(MANIFEST.to_json()), **changes})


def test_round_trip():
    again = Manifest.from_json(MANIFEST.to_json(), "here")
    assert again == MANIFEST
    assert again.to_json() == MANIFEST.to_json()


def test_only_the_files_are_in_the_output_digest():
    assert (
        replace(MANIFEST, provenance={}, statistics={}, schema={}, parents={}).output_digest == MANIFEST.output_digest
    )
    for path, entry in (("b.txt", FileEntry(1, "2" * 64)), ("new", FileEntry(1, "0" * 64))):
        assert replace(MANIFEST, files={**MANIFEST.files, path: entry}).output_digest != MANIFEST.output_digest


def test_digest_separates_names_from_content():
    one = digest_of_files({"a": FileEntry(1, "b" * 64), "c": FileEntry(1, "d" * 64)})
    other = digest_of_files({"a": FileEntry(1, "d" * 64), "c": FileEntry(1, "b" * 64)})
    assert one != other


def test_newer_format_is_refused_in_one_line():
    with pytest.raises(InputError, match="written by a newer version") as caught:
        Manifest.from_json(json.dumps({"format": MANIFEST_FORMAT + 1, "unknown": []}), "here")
    assert "\n" not in str(caught.value)
    assert "here" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "\x00", edited(files={"a": 1}), edited(files=[]), edited(spec={}), edited(format="1")],
)
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(InputError, match="cannot be read"):
        Manifest.from_json(text, "here")


@pytest.mark.parametrize(
    "changes", [{"output_digest": "0" * 64}, {"key": "0" * 64}, {"statistics": {"loss": 0.2}}, {"provenance": {}}]
)
def test_edited_manifest_is_refused(changes):
    with pytest.raises(InputError, match="own digests"):
        Manifest.from_json(edited(**changes), "here")


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", ".", "", "a/", "a\\..\\b", "a\0b", ".."]
)
def test_paths_that_could_leave_the_artifact_are_refused(path):
    evil = replace(MANIFEST, files={path: FileEntry(1, "0" * 64)})  # with digests that agree
    with pytest.raises(InputError, match="unsafe path"):
        Manifest.from_json(evil.to_json(), "here")


@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data):
    content = bytearray(MANIFEST.to_json())
    position = data.draw(st.integers(0, len(content) * 8 - 1))
    content[position // 8] ^= 1 << position % 8
    try:
        manifest = Manifest.from_json(bytes(content), "here")
    except InputError:
        return
    assert manifest == MANIFEST  # white space


def test_folder_must_be_named_by_the_key(tmp_path):
    folder = tmp_path / ("0" * 64)
    folder.mkdir()
    (folder / "manifest.json").write_bytes(MANIFEST.to_json())
    with pytest.raises(InputError, match=f"holds the artifact {SPEC.key[:12]}"):
        Artifact.open(folder)


def test_undecodable_manifest(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        Artifact.open(tmp_path)
