"""`make experts` and `make study`: what made the bundled experts and the README's comparison of
settings; no commands of `t2`.
"""

import sys
from pathlib import Path

from .render import say


def main() -> None:
    """Run the recipe that is named; stopped anywhere, it goes on where it was."""
    from mlx_t2.benchmarks import build, study

    recipe = {"experts": build, "study": study}[sys.argv[1]]
    for line in recipe(Path("runs") / sys.argv[1]):
        say(line)


if __name__ == "__main__":
    main()
