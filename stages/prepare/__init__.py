"""Stages that turn raw drives into cached training data."""
