import mlx_lm
import pytest

from mlx_t2 import AdaptiveGenerator, NoAdaptation, SamplingConfig, load

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
    generator = AdaptiveGenerator(model, NoAdaptation())
    config = SamplingConfig(temperature=0.0, max_tokens=20)
    tokens = list(generator.stream(QUESTION, config))
    assert "Paris" in generator.answer.text
    assert [t.id for t in tokens] == [t.token for t in plain]
    assert generator.answer.text == "".join(t.text for t in plain)
