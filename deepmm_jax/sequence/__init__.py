"""Sequences: FASTA files, secondary-structure predictions, profiles."""

from deepmm_jax.sequence.fasta import Record as Record
from deepmm_jax.sequence.fasta import profiles_from_fasta as profiles_from_fasta
from deepmm_jax.sequence.fasta import read_fasta as read_fasta
from deepmm_jax.sequence.predictions import Prediction as Prediction
from deepmm_jax.sequence.predictions import read_predictions as read_predictions
from deepmm_jax.sequence.predictions import read_secondary_structure as read_secondary_structure
from deepmm_jax.sequence.profile import SequenceProfile as SequenceProfile
from deepmm_jax.sequence.profile import encode_letters as encode_letters
