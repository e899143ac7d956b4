"""Requests that servers read differently, and what any server has to make of them."""
