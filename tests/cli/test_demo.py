"""What the demo shows of its measurements; README's block runs the whole of it."""

from mlx_t2_cli.demo import DOMAINS, _show_adaptive, _show_public

SHARE = {"accuracy": 0.975, "interval": (0.94, 0.99)}
ROUTE = "classifier: expression (1.00), first pass 637 ms, first token after 2443 ms, 5 tokens"


def test_no_line_of_it_is_broken_on_a_terminal_of_80_columns(capsys):
    question = {
        "question": "the string subject repeated 8 times",
        "expected": "subject * 8",
        "before": "subjects",
        "after": "subject * 8",
        "route": ROUTE,
        "label": "expression",
    }
    domains = [
        {"domain": name, "n": 200, "base": SHARE, "expert": SHARE, "adaptive": SHARE}
        | {"chosen": {name: 200}}
        for name in DOMAINS
    ]
    _show_adaptive({"domains": domains, "questions": [question]})
    _show_public({"task": "arc-easy", "n": 100, "base": SHARE, "expert": SHARE, "source": "x"})
    lines = capsys.readouterr().out.splitlines()
    assert "            classifier: expression (1.00), first pass 637 ms" in lines
    assert "accuracy, 200 problems each, one prompt for all domains (95 % interval)" in lines
    assert "arc-easy, 100 test problems never seen (95 % interval)" in lines
