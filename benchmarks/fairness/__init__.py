"""One greedy client, and what another one notices."""
