"""Language models that wear SVF layers: loading through mlx-lm, decomposing, putting scales on
and off.

Knows architectures, tokenizers and weights; does not know experts as files, sampling, tasks or
training.
"""

from .decomposition import Decomposed as Decomposed
from .finite import explain_scores as explain_scores
from .gguf import ALIASES as ALIASES
from .gguf import bundled_model_path as bundled_model_path
from .gguf import find_gguf as find_gguf
from .hub import download as download
from .kv_cache import OwnedCache as OwnedCache
from .limits import check_conversations as check_conversations
from .limits import check_tokens as check_tokens
from .limits import find_limits as find_limits
from .limits import fit_answer as fit_answer
from .loading import find_folder as find_folder
from .loading import hub_id as hub_id
from .loading import load as load
from .memory import limited_memory as limited_memory
from .memory import memory_bytes as memory_bytes
from .svf_model import SVFModel as SVFModel
from .svf_model import decompose as decompose
