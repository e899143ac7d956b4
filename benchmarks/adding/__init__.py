"""The adding problem: how far back can a network still find what it has to add?

`python -m benchmarks.adding` trains simple RNNs and LSTMs of equal size on it, prints
the result, and writes `result.json` here and `docs/images/adding.svg`.
"""
