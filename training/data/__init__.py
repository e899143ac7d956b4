"""Where examples come from, a module per source; `training.sources` names them."""
