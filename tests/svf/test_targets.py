"""Any pattern of targets on a tiny llama."""

import mlx.core as mx
import pytest
from any_layer import (
    properties,
)
from helpers import tiny_network
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.errors import ConfigError
from mlx_t2.svf import (
    Targets,
)

NETWORK = tiny_network()
MATRICES = {
    path
    for path, module in NETWORK.named_modules()
    if isinstance(module.get("weight"), mx.array) and module.weight.ndim >= 2
}
PATTERNS = [
    *("", ".", "mlp", "attention", "all", "MLP", "(?i)MLP", "(?i:mlp)", "$^", "^$", "(", ")"),
    *("*", "+", "?", "[", "]", "[]", "[^]", "{", "a{2,1}", "\\", "\\8", "(?P<a>x)(?P=b)"),
    *(
        "(?<=a+)b",
        "x(?i)",
        "(?L)",
        "\x00",
        "\ud800",
        "\n",
        "(?!)",
        "layers\\.[0-1]",
        "x" * 9999,
    ),
    *("(" * 300, "(" * 50 + ")" * 50, "(?#", "(?x) mlp # c", "\\N{nothing}", "(a)(?(1)y|z)"),
]


@settings(properties, max_examples=150)
@given(
    st.sampled_from(PATTERNS)
    | st.text(max_size=12)
    | st.text("()[]{}*+?|^$\\.,:=!<>P#iLx019-almproj_", max_size=12)
)
@pytest.mark.filterwarnings("ignore:Possible (nested|set):FutureWarning")  # Python's advice
def test_any_pattern_is_refused_or_parts_the_layers_that_have_matrices(pattern):
    try:
        targets = Targets(pattern)
    except ConfigError as error:
        assert repr(pattern) in str(error)  # noqa: PT017  most are fine
        return
    survey = targets.survey(NETWORK)
    assert survey.targeted.keys() | survey.skipped.keys() == MATRICES
    assert not survey.targeted.keys() & survey.skipped.keys()
    assert survey.fused.keys() <= survey.targeted.keys()
    assert all(survey.skipped.values())
    if not survey.targeted:
        with pytest.raises(ConfigError, match="matches no linear layer"):
            targets.select(NETWORK)


@pytest.mark.parametrize("pattern", ["(?a)(?u)x", "x{99999999999999999999}", "(" * 3000])
def test_patterns_that_python_refuses_in_other_ways_are_refused_too(pattern):
    with pytest.raises(ConfigError, match="expected mlp, attention, all"):
        Targets(pattern)
