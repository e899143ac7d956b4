"""The calls: each view turns a request into one call of the parts below, no more."""
