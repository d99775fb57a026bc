"""How confidence is stored. Imports no torch."""

CONFIDENCE_STEPS = 250
"""A stored confidence is round(250 p); 255 is never written."""
CONFIDENCE_STRIDE = 4
"""Side in label pixels of the blocks over which it is averaged: a teacher's logits live at a quarter resolution."""
