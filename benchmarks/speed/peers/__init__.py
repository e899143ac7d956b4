"""Peers that the service is compared with, each a file or folder of its own."""
