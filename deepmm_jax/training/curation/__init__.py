"""Curation: training sets from structures, from pairs of map and model, and from the archives (section 2.6)."""
