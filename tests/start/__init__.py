"""What every Python process of the tests runs at its start."""
