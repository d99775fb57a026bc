"""A study: many experiments, tuned alike, and what their results claim. `python -m study small` runs one."""
