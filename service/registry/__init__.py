"""Models: artifacts, which versions are served, and how they run."""
