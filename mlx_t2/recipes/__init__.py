"""What made the bundled experts, what the settings are worth, and the pages that report both.

Knows every room below. Does not know the command line; no room of the library knows it.
"""

from .arc import run_arc as run_arc
from .bundle import build_bundle as build_bundle
from .evidence import Extent as Extent
from .evidence import list_samples as list_samples
from .evidence import measure_evidence as measure_evidence
from .evidence import show_plan as show_plan
from .exports import measure_exports as measure_exports
from .forms import measure_forms as measure_forms
from .models_page import MODELS as MODELS
from .models_page import render_models as render_models
from .results_page import RESULTS as RESULTS
from .results_page import render_results as render_results
from .router import build_router as build_router
from .strategies import compare_strategies as compare_strategies
from .study import run_study as run_study
from .subdomains import measure_subdomains as measure_subdomains
