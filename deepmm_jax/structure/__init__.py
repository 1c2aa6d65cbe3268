"""Protein structures: chains as arrays, files in and out, superposition, secondary structure."""
