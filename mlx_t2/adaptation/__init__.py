"""The first pass: which scales a conversation is answered with, and how a model is made ready.

A *fixed* adaptation needs no first pass; a *routed* one turns a router's posterior into scales.
Knows experts and routers; does not know how answers are generated, graded or reported.
"""

from .build import ADAPTATIONS as ADAPTATIONS
from .build import PassedOver as PassedOver
from .build import Preparation as Preparation
from .build import prepare_experts as prepare_experts
from .build import prepare_strategy as prepare_strategy
from .build import strategy_of as strategy_of
from .fixed import Fixed as Fixed
from .routed import Chosen as Chosen
from .routed import Mixed as Mixed
from .strategy import Adapted as Adapted
from .strategy import Strategy as Strategy
from .strategy import naming_experts as naming_experts
