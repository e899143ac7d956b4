"""How well a network does on held-out data, a module per source."""
