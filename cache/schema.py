"""The schema of an artifact's arrays, read off the Zarr metadata without opening zarr."""

import json
from pathlib import Path
from typing import Any

METADATA_FILE = "zarr.json"


def describe_arrays(folder: Path) -> dict[str, Any]:
    """Shape, dtype, dims, chunks and units of each Zarr v3 array below `folder`, by its path with forward slashes."""
    described: dict[str, Any] = {}
    for file in sorted(folder.rglob(METADATA_FILE)):
        metadata = json.loads(file.read_bytes())
        if metadata["node_type"] == "array":
            described[file.parent.relative_to(folder).as_posix()] = {
                "shape": metadata["shape"],
                "dtype": metadata["data_type"],
                "dims": metadata.get("dimension_names"),
                "units": metadata["attributes"].get("units", ""),
            }
    return described
