"""Completions drawn from a model, under whatever scales it wears now. Owns randomness.

Knows tasks only to grade with them; does not know what
rewards are for. A key-value cache belongs to the scales that it was filled under.
"""

from .continuous import ContinuousBatch as ContinuousBatch
from .continuous import RowToken as RowToken
from .draws import SamplingConfig as SamplingConfig
from .rollout import Rollout as Rollout
from .rollout import held_out_accuracy as held_out_accuracy
from .rollout import rollouts as rollouts
from .sample import Completion as Completion
from .sample import Token as Token
from .sample import sample as sample
from .sample import stream as stream
