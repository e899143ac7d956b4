"""Where memory lives between requests: stores, session records, sealed tokens.

It does not know HTTP, JSON or the network: memory tensors are opaque bytes here.
"""
