"""The HTTP server: gunicorn's worker, its connections, and reloads."""
