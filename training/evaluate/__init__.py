"""Evaluation of a network on held-out data, a module per source."""
