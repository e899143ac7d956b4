"""The dialects: pure functions from bytes to rows, and from outcomes to bytes.

A dialect knows one wire format and neither the engine nor the stores; dialects share
nothing but `service.rows`.
"""
