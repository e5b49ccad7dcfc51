"""Three generated domains that need no download, and small talk that belongs to none of them.

Knows how questions are made, worded, split and graded; does not know models, and of tasks only
what a problem is.
"""

from .generated_task import GeneratedTask as GeneratedTask
from .generated_task import generated_tasks as generated_tasks
from .prompts import shared_prompt as shared_prompt
from .small_talk import count_other as count_other
from .small_talk import other_questions as other_questions
