"""REINFORCE on the scales alone: from a task's rewards to an expert.

Knows rollouts, log-probabilities and expert files; does not know how experts are chosen, mixed
or reported.
"""

from .advantages import leave_one_out as leave_one_out
from .config import TrainConfig as TrainConfig
from .plan import TrainPlan as TrainPlan
from .plot import plot_run as plot_run
from .ranks import Ranks as Ranks
from .reinforce import policy_loss as policy_loss
from .report import StepReport as StepReport
from .reporting import reporter as reporter
from .settings import train_config as train_config
from .train import plan as plan
from .train import train as train
