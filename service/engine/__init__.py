"""The engine: advances rows by batches of cells. Knows no HTTP."""
