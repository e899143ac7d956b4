"""Measured comparisons: with peers, and with what the machine could do at most."""
