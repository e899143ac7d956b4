"""Data sources, a module each; `training.sources` names them."""
