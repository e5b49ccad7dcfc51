"""Completions and their probabilities, under whatever scales the model wears now. Owns
randomness.

Drives mlx-lm's decoding and caches; knows tasks only to grade with them; does not know what
rewards are for. A key-value cache belongs to the scales that it was filled under.
"""

from .batching import Batching as Batching
from .batching import batching as batching
from .checkpointing import checkpointed as checkpointed
from .continuous import ContinuousBatch as ContinuousBatch
from .continuous import RowToken as RowToken
from .draws import SamplingConfig as SamplingConfig
from .logprobs import completion_distributions as completion_distributions
from .logprobs import completion_logprobs as completion_logprobs
from .logprobs import last_hidden as last_hidden
from .logprobs import score as score
from .prefill import Rows as Rows
from .prefill import prefill as prefill
from .rollout import Rollout as Rollout
from .rollout import held_out_accuracy as held_out_accuracy
from .rollout import rollouts as rollouts
from .sample import Completion as Completion
from .sample import Token as Token
from .sample import sample as sample
from .sample import stream as stream
