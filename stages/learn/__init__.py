"""Stages that train, evaluate and report."""
