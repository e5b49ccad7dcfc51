"""What is timed; the timing itself needs the default model."""

from mlx_t2.adaptation import Fixed
from mlx_t2.benchmarks.two_pass import first_token, long_conversation
from mlx_t2.sampling import SamplingConfig, stream
from mlx_t2.tasks import get_task


def test_a_conversation_is_made_as_long_as_is_asked_for(tiny_model):
    problems = get_task("kind").problems("train", 60)
    plain = list(problems[0].messages)
    assert long_conversation(tiny_model, problems, 1) == plain
    longer = long_conversation(tiny_model, problems, 1000)
    assert 1000 <= len(tiny_model.encode(longer)) < 1100
    assert (longer[0], longer[-1]) == (plain[0], plain[-1])
    assert longer[0]["role"] == "system"
    assert longer[len(plain)] == {"role": "assistant", "content": problems[1].answer}


def test_the_first_token_is_that_of_the_answer(tiny_model):
    messages = [{"role": "user", "content": "31, 52, 47"}]
    greedy = SamplingConfig(temperature=0)
    token = next(stream(tiny_model, tiny_model.encode(messages), greedy))
    assert first_token(tiny_model, Fixed.base(), messages)() == token
