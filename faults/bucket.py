"""A cache in a bucket, looked at object by object; each look is a fork, for its network client has threads."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from faults.forks import in_fork
from faults.layout import Finished


@dataclass(frozen=True)
class BucketView:
    """Attributes: url: s3://bucket/prefix."""

    url: str

    def half_artifacts(self, *, digests: bool = False) -> list[str]:
        return list(in_fork(lambda: self._look(digests))["wrong"])

    def done_units(self) -> set[tuple[str, str]]:
        look = in_fork(lambda: self._look(False))
        done = {(build, unit) for build, unit in look["receipts"]}
        for artifact in self._artifacts(look).values():
            done |= {(f"{artifact.stage}-{artifact.key}", unit) for unit in ("", *artifact.units)}
        return done

    def finished(self) -> dict[str, Finished]:
        return self._artifacts(in_fork(lambda: self._look(False)))

    def leftovers(self) -> list[str]:
        found: list[str] = in_fork(lambda: self._look(False))["leftovers"]
        return found

    def _artifacts(self, look: dict[str, Any]) -> dict[str, Finished]:
        return {name: Finished(s, k, d, frozenset(units)) for name, (s, k, d, units) in look["artifacts"].items()}

    def _look(self, digests: bool) -> dict[str, Any]:
        from cache.remote import RemoteObjects

        objects = RemoteObjects(self.url)
        sizes = dict(objects.scan("artifacts"))
        wrong, artifacts = [], {}
        for name in sizes:
            folder, _, file = name.rpartition("/")
            if file != "manifest.json" or folder.count("/") != 2:
                continue
            manifest = objects.read(name)
            assert manifest is not None
            content = json.loads(manifest.data)
            for path, entry in content["files"].items():
                whole = sizes.get(f"{folder}/{path}") == entry["bytes"]
                if whole and digests:
                    found = objects.read(f"{folder}/{path}")
                    whole = found is not None and hashlib.sha256(found.data).hexdigest() == entry["sha256"]
                if not whole:
                    wrong.append(f"{folder}/{path}")
            _, stage, key = folder.split("/")
            artifacts[folder] = (stage, key, content["output_digest"], list(content["provenance"]["unit_wall_s"]))
        work = [name for name, _ in objects.scan("tmp")]
        receipts = [name.split("/") for name in work if "/done/" in name]
        return {
            "wrong": wrong,
            "artifacts": artifacts,
            "receipts": [(build, unquote(unit.removesuffix(".json"))) for _, build, _, unit in receipts],
            "leftovers": work + [name for name, _ in objects.scan("owners")],
        }
