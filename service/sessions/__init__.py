"""Sessions: their records, rules, changes, and tokens."""
