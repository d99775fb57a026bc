"""Pretraining objectives, one folder each."""
