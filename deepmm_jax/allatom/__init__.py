"""From a Cα trace to all heavy atoms: backbone, side chains."""
