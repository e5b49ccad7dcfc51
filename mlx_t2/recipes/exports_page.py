"""The section of `RESULTS.md` on exports. Knows Markdown and recorded numbers."""

from typing import Any

from .page import join_table


def exports_section(exports: dict[str, Any]) -> str:
    """The source of the numbers; what each form keeps and what mlx-lm then writes; and what
    PyTorch makes of two of them.
    """
    tokens, text_tokens = exports["tokens"], exports["text_tokens"]
    source = (
        f"`{exports['command']}` on {exports['machine']}, commit {exports['commit']}, model "
        f"{exports['model']}, expert {exports['expert']}; {tokens} tokens of three prompts, "
        f"where the expert changes a logit by {exports['largest_change']:.3g} at most; "
        f"{text_tokens} greedy tokens by `mlx_lm.generate --model FUSED` or `--adapter-path`."
    )
    header = (
        *("export", "MB", "weights: share", "correlation", "logits: share", "correlation"),
        *("largest difference of a logit", "mlx-lm writes what the live expert does"),
    )
    rows = [
        [
            row["name"],
            f"{row['mb']:g}",
            *(f"{row[key]:.4f}" for key in ("share", "correlation")),
            *(f"{row[key]:.4f}" for key in ("logit_share", "logit_correlation")),
            f"{row['largest_gap']:.1e}",
            "yes" if row["same_text"] else "no",
        ]
        for row in exports["rows"]
    ]
    torch = join_table(
        ("read by PyTorch", "tokens", "largest difference of a logit from the live expert"),
        [
            [row["name"], str(row["tokens"]), f"{row['largest_gap']:.1e}"]
            for row in exports["torch"]
        ],
    )
    return f"{source}\n\n{join_table(header, rows)}\n\n{torch}"
