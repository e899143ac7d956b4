"""Draws the pictures of the documents.

They live beside the documents and import no package of this repository: what they show
they ask a running service for, or read from a benchmark's result, as a reader would.
"""
