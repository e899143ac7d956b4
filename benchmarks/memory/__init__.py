"""Cost of a store: time per operation and bytes per session, at three sizes."""
