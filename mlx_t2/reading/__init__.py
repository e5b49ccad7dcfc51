"""Prompts into caches, hidden states and log-probabilities: differentiable, and draws nothing.

Knows mlx-lm's caches and which architectures read rows of a batch rightly; does not know
randomness, rewards or tasks. A key-value cache belongs to the scales it was filled under.
"""

from .base_prefixes import BasePrefixes as BasePrefixes
from .base_prompt import BasePrompt as BasePrompt
from .base_readings import BaseReadings as BaseReadings
from .batchable import UNBATCHED as UNBATCHED
from .batchable import Batching as Batching
from .batchable import batching as batching
from .batchable import check_batchable as check_batchable
from .batchable import is_single as is_single
from .batchable import together as together
from .behind import score_behind as score_behind
from .inner_states import count_blocks as count_blocks
from .kept_caches import Kept as Kept
from .kept_caches import KeptCaches as KeptCaches
from .kept_caches import count_shared as count_shared
from .kept_caches import is_plain as is_plain
from .logprobs import SCORED as SCORED
from .logprobs import completion_distributions as completion_distributions
from .logprobs import completion_logprobs as completion_logprobs
from .logprobs import in_parts as in_parts
from .logprobs import last_hidden as last_hidden
from .logprobs import score as score
from .options import plan_options as plan_options
from .prompt_cache import PromptCache as PromptCache
from .recompute import recompute_blocks as recompute_blocks
from .row_cache import RowCache as RowCache
from .row_cache import as_batch as as_batch
from .row_cache import merge_caches as merge_caches
from .rows import PASS as PASS
from .rows import Begun as Begun
from .rows import Rows as Rows
from .rows import plan_prefill as plan_prefill
from .rows import prefill as prefill
from .rows import read_alone as read_alone
from .token_scores import Scored as Scored
from .token_scores import TokenScores as TokenScores
from .token_scores import score_tokens as score_tokens
