"""The default model through both passes, beside plain mlx-lm."""

import mlx_lm
import pytest

from mlx_t2 import AdaptiveGenerator, SamplingConfig, load

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def model():
    return load()


def test_the_capital_of_france_is_paris_token_for_token_as_plain_mlx_lm_says(model):
    """Plain mlx-lm on the same network, by its own loop, before it has ever worn scales."""
    prompt = model.tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True)
    plain = list(mlx_lm.stream_generate(model.network, model.tokenizer, prompt, max_tokens=20))
    for _ in model.decompose():
        pass
    config = SamplingConfig(temperature=0.0, max_tokens=20)
    request = AdaptiveGenerator(model).stream(QUESTION, config)
    tokens = list(request)
    assert "Paris" in request.answer.text
    assert [t.id for t in tokens] == [t.token for t in plain]
    assert request.answer.text == "".join(t.text for t in plain)
