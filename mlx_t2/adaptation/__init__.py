"""The first pass: which scales a conversation is answered with, and how a model is made ready.

A *fixed* adaptation needs no first pass; a *routed* one turns a router's posterior into scales.
Knows experts and routers; does not know how answers are generated, graded or reported.
"""

from .build import ADAPTATIONS as ADAPTATIONS
from .build import Preparation as Preparation
from .build import prepare_all as prepare_all
from .build import prepare_every as prepare_every
from .build import prepare_experts as prepare_experts
from .build import prepare_strategy as prepare_strategy
from .build import route_among as route_among
from .build import strategy_of as strategy_of
from .fixed import Fixed as Fixed
from .known import is_known as is_known
from .matching import check_expert as check_expert
from .matching import is_trained_on as is_trained_on
from .matching import match_experts as match_experts
from .mixture_space import MixtureSpace as MixtureSpace
from .routed import Chosen as Chosen
from .routed import Mixed as Mixed
from .routers import PassedOver as PassedOver
from .routers import RouterTraining as RouterTraining
from .routers import domain_of as domain_of
from .routers import extend_router as extend_router
from .routers import find_router as find_router
from .routers import name_unknown as name_unknown
from .routers import place_of_router as place_of_router
from .routers import plan_router as plan_router
from .search import Found as Found
from .search import Scorer as Scorer
from .search import SearchConfig as SearchConfig
from .search import as_expert as as_expert
from .search import search_mixture as search_mixture
from .steady import EVERY as EVERY
from .steady import Steady as Steady
from .steady import When as When
from .strategy import Adapted as Adapted
from .strategy import Strategy as Strategy
from .strategy import naming_experts as naming_experts
