"""Gradient boosting on the last events: the baseline that knows the fields too."""
