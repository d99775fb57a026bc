"""How we optimise: samples, batches, loop, checkpoint, schedule, metrics."""
