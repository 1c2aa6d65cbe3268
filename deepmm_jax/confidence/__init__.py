"""How far a model can be believed: MScore and what it predicts (section 3.6)."""
