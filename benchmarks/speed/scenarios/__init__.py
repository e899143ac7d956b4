"""The scenarios: each a function that measures one row of the table of targets."""
