"""Measurements of training: reading a log, and what follows."""
