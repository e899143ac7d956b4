"""Backends that run a network."""
