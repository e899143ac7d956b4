"""HTTP: every route, and what its bytes mean."""
