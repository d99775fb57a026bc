"""Image teachers: Mask2Former for semantics, SAM for class-agnostic masks."""
