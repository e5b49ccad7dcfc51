"""Transformer² on MLX: a language model that adapts its own weights to each request."""

# isort: off
from . import blas as blas  # first: it has to come before MLX is imported

# isort: on
from .adaptation import Fixed as Fixed
from .adaptation import Strategy as Strategy
from .adaptation import prepare_strategy as prepare_strategy
from .errors import T2Error as T2Error
from .evaluation import Report as Report
from .evaluation import evaluate as evaluate
from .experts import Expert as Expert
from .experts import Library as Library
from .experts import add as add
from .experts import mix as mix
from .generation import AdaptiveGenerator as AdaptiveGenerator
from .generation import Answer as Answer
from .models import SVFModel as SVFModel
from .models import decompose as decompose
from .models import load as load
from .routing import HeadRouter as HeadRouter
from .routing import PromptRouter as PromptRouter
from .sampling import SamplingConfig as SamplingConfig
from .sampling import sample as sample
from .tasks import get_task as get_task
from .tasks import task_names as task_names
from .training import StepReport as StepReport
from .training import TrainConfig as TrainConfig
from .training import train as train
