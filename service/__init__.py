"""The Flask service: everything that answers HTTP.

Knows a network only as a SavedModel with a manifest; imports neither `models` nor
`training`.
"""

VERSION = "0.1.0"
