"""Data -> train -> evaluate -> export: the retraining script.

Start with `pipeline` (the whole way on one page); `python -m training fit --config
training/configs/taxi.toml` runs it. Knows `models`, and nothing of HTTP or sessions.
"""
