"""The report of a version as one HTML page: no script, and no request to anywhere."""
