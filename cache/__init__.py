"""Where results live: content-addressed artifacts, resumable builds, Zarr arrays."""
