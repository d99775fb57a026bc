"""Small JSON documents with a digest of their own: one that was damaged is recognised, never believed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


class DamagedError(ValueError):
    """The bytes are no document, or not the one that was written."""


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document's canonical JSON, without the digest itself."""
    content = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def seal(document: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """The document as JSON, with its digest as the field `sha256`."""
    text = json.dumps({**document, "sha256": digest_of(document)}, indent=indent, allow_nan=False)
    return f"{text}\n".encode("ascii")


def unseal(data: bytes) -> dict[str, Any]:
    """The document in `data`.

    Raises:
        DamagedError: if it is not as it was sealed.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise DamagedError("not JSON") from error
    if not isinstance(document, dict) or document.pop("sha256", None) != digest_of(document):
        raise DamagedError("does not agree with its own digest")
    return document
