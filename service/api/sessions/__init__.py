"""Sessions as resources."""
