"""What networks reach on public data, beside baselines and published figures."""
