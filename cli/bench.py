"""`make bench`: seconds, beside what they are compared with; it reports and never fails."""

from .render import table


def main() -> None:
    """Measure on the default model."""
    from mlx_t2.benchmarks import measure

    rows = [
        (
            row.name,
            f"{1000 * row.ours:.1f} ms",
            "" if row.other is None else f"{1000 * row.other:.1f} ms",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.against,
        )
        for row in measure()
    ]
    table(
        "speed, medians of interleaved runs",
        ("", "ours", "other", "other/ours", "against"),
        rows,
    )


if __name__ == "__main__":
    main()
