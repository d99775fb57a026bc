"""What the attempts at one build share: a folder to write into, and objects that say what is done and by whom."""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cache.catalogue import TRASH
from cache.documents import DamagedError, seal, unseal
from cache.manifest import FileEntry
from cache.objects import ABSENT, ConflictError, Objects

TMP = "tmp"


@dataclass(frozen=True)
class Receipt:
    """What one unit of work left.

    Attributes:
        files: what it wrote, by path below the work folder.
        wall_s: seconds from its claim to its end.
    """

    files: Mapping[str, FileEntry]
    wall_s: float = 0.0


class Work:
    """One unfinished build.

    tmp/<stage>-<key>/data/             becomes the artifact
                     /done/<unit>.json  receipts: what is done
                     /claims/<unit>...  who is at what
                     /lead              who will finish it
                     /attempts/<n>-...  what each attempt cost and recorded
                     /total             how many units there will be
                     /repaired          the manifest of the damaged artifact that this was, see `cache.repair`

    Args:
        objects: of the store.
        folder: where `data/` lies on this machine.
        name: <stage>-<key>.
    """

    def __init__(self, objects: Objects, folder: Path, name: str) -> None:
        self.objects, self.folder, self.data = objects, folder, folder / "data"
        self.prefix = f"{TMP}/{name}"
        self.lead = f"{self.prefix}/lead"
        self.repaired = f"{self.prefix}/repaired"

    def claim_of(self, unit: str) -> str:
        """Name of a unit's claim."""
        return f"{self.prefix}/claims/{quote(unit, safe='')}.claim"

    def receipt_of(self, unit: str) -> str:
        """Name of a unit's receipt."""
        return f"{self.prefix}/done/{quote(unit, safe='')}.json"

    def done_units(self) -> list[str]:
        """Names of the units that have a receipt, sorted."""
        return sorted(
            unquote(name.rpartition("/")[2].removesuffix(".json"))
            for name, _ in self.objects.scan(f"{self.prefix}/done")
        )

    def receipt(self, unit: str) -> Receipt | None:
        """A unit's receipt; None where there is none, or a damaged one, which is the same: the unit is not done."""
        found = self.objects.read(self.receipt_of(unit))
        if found is None:
            return None
        try:
            document = unseal(found.data)
            files = {path: FileEntry(**entry) for path, entry in document["files"].items()}
            return Receipt(files, document["wall_s"])
        except (DamagedError, KeyError, TypeError, AttributeError):
            self.forget(unit)
            return None

    def forget(self, unit: str) -> None:
        """Makes a unit undone."""
        self.objects.delete(self.receipt_of(unit))

    def put_receipt(self, unit: str, receipt: Receipt) -> None:
        """Publishes what a unit left; of two equal ones the first stays."""
        document = {"files": {path: asdict(entry) for path, entry in receipt.files.items()}, "wall_s": receipt.wall_s}
        with suppress(ConflictError):
            self.objects.put(self.receipt_of(unit), seal(document), expect=ABSENT)

    def total(self) -> int | None:
        """How many units there will be, None where no attempt has said."""
        found = self.objects.read(f"{self.prefix}/total")
        return None if found is None or not found.data.isdigit() else int(found.data)

    def put_total(self, units: int) -> None:
        """Says how many units there will be."""
        if self.total() != units:
            self.objects.put(f"{self.prefix}/total", str(units).encode(), durable=False)

    def attempts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and content of what each attempt wrote down, in the order in which they began."""
        for name, _ in self.objects.scan(f"{self.prefix}/attempts"):
            found = self.objects.read(name)
            with suppress(DamagedError):
                if found is not None:
                    yield name, unseal(found.data)

    def put_attempt(self, name: str, content: Mapping[str, Any]) -> None:
        """Writes down what an attempt has cost and recorded so far. Not synced: losing it costs no work."""
        self.objects.put(f"{self.prefix}/attempts/{name}", seal(content), durable=False)

    def create(self) -> None:
        """Makes the folder. What speaks of a folder that is no more is cleared away; the caller excludes others."""
        if not self.data.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.data.mkdir(parents=True)

    def remove(self) -> None:
        """Removes everything, the folder at one instant: no receipt may outlive the data that it speaks of.

        After a kill, garbage collection takes the rest away.
        """
        discarded = self.folder.parents[1] / TRASH / f"{self.folder.name}-{secrets.token_hex(4)}"
        if self.folder.exists():
            discarded.parent.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):
                self.folder.rename(discarded)
        shutil.rmtree(discarded, ignore_errors=True)
        self.objects.delete_all(self.prefix)
