"""Evidence: what a map says of each voxel and each point; eq. 1 from a known structure."""
