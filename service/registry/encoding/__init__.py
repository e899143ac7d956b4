"""Encoding: events to tensors and back."""
