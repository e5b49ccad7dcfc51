"""REINFORCE on the scales alone: from a task's rewards to an expert.

Knows rollouts, log-probabilities and expert files; does not know how experts are chosen or
mixed, nor who watches a training.
"""

from .advantages import leave_one_out as leave_one_out
from .config import PRESETS as PRESETS
from .config import TrainConfig as TrainConfig
from .config_file import read_config as read_config
from .learner import check_task as check_task
from .loop import train as train
from .loop import watch_training as watch_training
from .optimizer import Optimizer as Optimizer
from .phase import Phase as Phase
from .plan import TrainPlan as TrainPlan
from .plan import find_costs as find_costs
from .plan import plan_training as plan_training
from .plan import watch_planning as watch_planning
from .plot import plot_run as plot_run
from .ranks import Ranks as Ranks
from .reinforce import policy_loss as policy_loss
from .row_limits import Costs as Costs
from .run_folder import RunFolder as RunFolder
from .step_report import StepReport as StepReport
from .trackers import open_tracker as open_tracker
