"""Tokens: state that clients keep, encrypted."""
