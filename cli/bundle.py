"""`make experts`: train, choose, measure and ship the bundled experts; no command of `t2`."""

from pathlib import Path

from .render import say


def main() -> None:
    """Run the recipe; stopped anywhere, it goes on where it was."""
    from mlx_t2.benchmarks import build

    for line in build(Path("runs/experts")):
        say(line)


if __name__ == "__main__":
    main()
