"""How good a model is: against a reference structure and against the map."""
