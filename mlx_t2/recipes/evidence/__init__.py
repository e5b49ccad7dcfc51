"""What self-adaptation by singular value scales does for a real model on the paper's own tasks:
the jobs that measure it, their results as one file, and the section that shows them.

The model is nobody's dependency: it is an mlx-lm folder, named where the recipe is run.
"""

from .collection import list_samples as list_samples
from .runner import Extent as Extent
from .runner import measure_evidence as measure_evidence
from .runner import show_plan as show_plan
from .section import evidence_section as evidence_section
