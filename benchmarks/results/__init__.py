"""Results of networks on public data, with baselines and published figures."""
