"""The sequence threaded through Cα candidates, and Cα positions refined off the grid."""
