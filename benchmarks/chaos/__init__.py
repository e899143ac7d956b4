"""Clients that cut and retry, processes that are killed or paused, and an audit.

`python -m benchmarks.chaos` runs it; docs/explanation/chaos.md has the figures.
Knows the service from outside only: HTTP, process ids, a store's server to kill.
"""
