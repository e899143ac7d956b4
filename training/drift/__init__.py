"""Drift: whether captured events are still those that a version was trained on."""
