"""Completions drawn from a model, under whatever scales it wears now. Owns randomness.

Knows tasks only to grade with them; does not know what rewards are for. For one seed, `sample`,
`stream` and a row of a `ContinuousBatch` draw the same: one loop decodes for all three.
"""

from .choices import Choice as Choice
from .choices import encode_options as encode_options
from .choices import log_weigh as log_weigh
from .choices import score_options as score_options
from .choices import weigh as weigh
from .completions import Completion as Completion
from .completions import Token as Token
from .completions import finished_completions as finished_completions
from .completions import sample as sample
from .completions import stream as stream
from .continuous import ContinuousBatch as ContinuousBatch
from .continuous import RowToken as RowToken
from .draw import SamplingConfig as SamplingConfig
from .draw import row_keys as row_keys
from .rollout import Rollout as Rollout
from .rollout import count_right as count_right
from .rollout import enumerate_rollouts as enumerate_rollouts
from .rollout import finished_rollouts as finished_rollouts
from .rollout import held_out_accuracy as held_out_accuracy
from .rollout import rollouts as rollouts
from .rows import Decoder as Decoder
from .rows import Row as Row
from .rows import has_queue as has_queue
