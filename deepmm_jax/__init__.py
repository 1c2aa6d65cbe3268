"""DeepMM-JAX: protein models from cryo-EM density maps, as pure JAX functions."""

from importlib.metadata import version as _version


__version__ = _version("deepmm-jax")
