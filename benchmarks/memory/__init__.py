"""What a store costs: time per operation and bytes per session, at three sizes."""
