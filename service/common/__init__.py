"""Modules that every room imports: values, times, shared files, the event loop."""
