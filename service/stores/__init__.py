"""Stores: versioned bytes by key, changed by compare-and-set."""
