"""The conversation: what can be typed, what is remembered, and what Ctrl-C keeps."""

import builtins
import re

import pytest
from mlx_t2_cli import render
from mlx_t2_cli.chat import loop, turn
from mlx_t2_cli.chat_commands import COMMANDS
from mlx_t2_cli.conversation import Chat

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ModelError
from mlx_t2.generation import two_pass
from mlx_t2.models import SVFModel
from mlx_t2.sampling import SamplingConfig

CHAT = "chat --model tiny --adapt none --max-tokens 6"


def typed(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def prompt_tokens(shown: str) -> list[int]:
    """What each /stats said of the prompt's length."""
    return [int(n) for n in re.findall(r"prompt\s+(\d+) tokens", shown)]


# A session that reads its lines from a file


def test_the_end_of_the_input_ends_the_conversation(t2):
    assert t2(CHAT, "").code == 0
    ran = t2(CHAT, "hello")  # not even a newline
    assert ran.code == 0
    assert len(ran.stdout.strip("\n")) == 6


def test_a_model_without_experts_talks_as_it_is_and_says_so(t2):
    ran = t2("chat --model tiny --max-tokens 6", typed("hello", "/why"))
    assert ran.code == 0
    assert "no expert of tiny" in ran.said
    assert "none: base model" in ran.stdout


def test_exit_leaves_at_once(t2):
    ran = t2(CHAT, typed("/exit", "hello"))
    assert (ran.code, ran.stdout) == (0, "")
    assert ran.said == "tiny: /help lists the commands"


def test_help_lists_every_command(t2):
    ran = t2(CHAT, typed("/help"))
    assert all(command in ran.stdout for command in COMMANDS)


def test_a_line_is_answered_as_generate_answers_it(t2):
    answered = t2("generate hello --model tiny --max-tokens 6").stdout
    assert t2(CHAT, typed("", "  hello  ")).stdout == answered


def test_why_and_stats_tell_of_the_last_answer(t2):
    ran = t2(CHAT, typed("/why", "/stats", "hello", "/why", "/stats"))
    before, after = ran.stdout.split("nothing has been answered yet\n" * 2)
    assert before == ""
    assert "none: base model, first pass 0 ms" in after
    assert prompt_tokens(after) == [13]
    assert "6 tokens" in after
    assert re.search(r"ended by\s+length", after)


def test_the_conversation_is_remembered_until_it_is_reset(t2):
    ran = t2(CHAT, typed("hello", "/stats", "hello", "/stats", "/reset", "hello", "/stats"))
    first, second, after = prompt_tokens(ran.stdout)
    assert second > 2 * first
    assert after == first


def test_a_system_message_begins_anew_and_outlives_a_reset(t2):
    lines = ["hello", "/system be brief", "hello", "/stats", "/reset", "hello", "/stats"]
    ran = t2(CHAT, typed(*lines, "/system", "hello", "/stats"))
    told, reset, without = prompt_tokens(ran.stdout)
    assert told == reset > without


def test_what_is_unknown_is_said_and_the_conversation_goes_on(t2, experts):
    ran = t2(f"{CHAT} --experts experts", typed("/nonsense", "/expert nonsense", "hello"))
    assert ran.code == 0
    assert "/nonsense: no such command, expected one of /expert, /experts," in ran.said
    assert "expert 'nonsense': unknown, expected one of: alpha, beta" in ran.said
    assert len(ran.stdout.strip("\n")) == 6


def test_experts_can_be_listed_put_on_and_taken_off(t2, experts):
    lines = ["/experts", "/expert alpha", "hello", "/why", "/reset", "/expert off", "hello"]
    shown = t2(f"{CHAT} --experts experts", typed(*lines, "/why")).stdout
    assert re.search(r"alpha\s+│ largest\s+│ tiny", shown)
    worn = shown.index("expert:alpha: alpha, first pass")
    base = t2("generate hello --model tiny --max-tokens 6").stdout
    assert base not in shown[:worn]
    assert base in shown[worn:]
    assert "none: base model, first pass" in shown[worn:]


@pytest.mark.parametrize("name", ["foreign.safetensors", "auto"])
def test_an_expert_that_is_refused_leaves_the_one_that_is_worn(t2, experts, name):
    lines = ["/expert alpha", f"/expert {name}", "hello", "/why"]
    ran = t2(f"{CHAT} --experts experts", typed(*lines))
    assert ran.code == 0
    assert "was trained on 'other'" in ran.said or "router.safetensors" in ran.said
    assert "expert:alpha: alpha, first pass" in ran.stdout


@pytest.fixture
def decomposed(monkeypatch) -> list:
    """The recipe of each decomposition."""
    begun, decompose = [], SVFModel.decompose

    def counted(self, recipe=None):
        begun.append(recipe)
        return decompose(self, recipe)

    monkeypatch.setattr(SVFModel, "decompose", counted)
    return begun


def test_putting_an_expert_on_decomposes_nothing_anew(t2, experts, decomposed):
    lines = ["/expert alpha", "hello", "/expert beta", "hello", "/expert off", "/expert alpha"]
    ran = t2(f"{CHAT} --experts experts", typed(*lines, "hello", "/why"))
    assert "expert:alpha: alpha, first pass" in ran.stdout
    assert len(decomposed) == 1


def test_experts_of_unlike_layers_are_worn_in_turn_with_a_decomposition_each(
    t2, unlike, decomposed
):
    lines = [f"/expert {name}" for name in ("alpha", "gamma", "alpha", "gamma")]
    ran = t2(f"{CHAT} --experts unlike", typed(*lines, "hello", "/why"))
    assert "expert:gamma: gamma, first pass" in ran.stdout
    assert len(decomposed) == 2


# Ctrl-C


@pytest.fixture
def talk(tiny_model) -> Chat:
    """A conversation with the base model."""
    return Chat(tiny_model, None, SamplingConfig(temperature=0, max_tokens=6))


def interrupted(function, after: int):
    """The function, with Ctrl-C pressed when it has been called `after` times."""
    calls = 0

    def call(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == after + 1:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return call


def interrupting(stream, after: int):
    """The stream, with Ctrl-C pressed while the model computes the next token."""

    def tokens(*args):
        for index, token in enumerate(stream(*args)):
            if index == after:
                raise KeyboardInterrupt
            yield token

    return tokens


@pytest.mark.parametrize("pressed", ["while a token is computed", "while it is written"])
def test_ctrl_c_keeps_what_has_been_said(talk, monkeypatch, capsys, pressed):
    with monkeypatch.context() as patch:
        if pressed == "while it is written":
            patch.setattr(render, "_write_now", interrupted(render._write_now, 2))
        else:
            patch.setattr(two_pass, "stream", interrupting(two_pass.stream, 3))
        turn(talk, "hello")
    assert [message["role"] for message in talk.messages] == ["user", "assistant"]
    assert talk.messages[1]["content"] == talk.answer.text
    assert (len(talk.answer.text), talk.answer.finish_reason) == (3, "interrupted")
    assert talk.model.worn == {}
    capsys.readouterr()
    turn(talk, "go on")
    assert talk.messages[3]["content"] == capsys.readouterr().out.strip("\n")
    assert talk.answer.finish_reason == "length"


def test_ctrl_c_in_the_first_pass_takes_the_question_back(talk, monkeypatch):
    turn(talk, "hello")
    said = list(talk.messages)
    with monkeypatch.context() as patch:
        strategy = talk.generator.strategy
        patch.setattr(Fixed, "adapt", interrupted(strategy.adapt, 0))
        turn(talk, "and now")
    assert talk.messages == said
    turn(talk, "and now")
    assert len(talk.messages) == len(said) + 2


def test_ctrl_c_at_the_prompt_stays_and_ctrl_d_leaves(talk, monkeypatch, capsys):
    keys = iter([KeyboardInterrupt, "hello", EOFError])
    prompts = []

    def pressed(prompt):
        prompts.append(prompt)
        key = next(keys)
        if isinstance(key, str):
            return key
        raise key

    monkeypatch.setattr(builtins, "input", pressed)
    loop(talk, is_person=True)
    assert prompts == ["\n[none] > "] * 3
    assert talk.messages[1]["content"] == capsys.readouterr().out.strip("\n")


# Sampling


def test_each_turn_draws_anew_and_a_seed_gives_the_same_conversation(t2):
    chat = f"{CHAT} --temp 1 --seed 5"
    lines = typed("hello", "/reset", "hello", "/reset", "hello")
    ran = t2(chat, lines)
    assert len(set(ran.stdout.splitlines())) == 3
    assert t2(chat, lines).stdout == ran.stdout
    alone = t2("generate hello --model tiny --max-tokens 6 --temp 1 --seed 5").stdout
    assert ran.stdout.startswith(alone)


def test_a_question_that_is_refused_is_forgotten_and_the_conversation_goes_on(
    talk, monkeypatch, capsys
):
    def refuse(*_):
        raise ModelError("tiny: the prompt has 9 tokens, expected 8 at most")

    with monkeypatch.context() as patch:
        patch.setattr(two_pass, "stream", refuse)
        turn(talk, "too long")
    assert "the prompt has 9 tokens" in capsys.readouterr().err
    turn(talk, "hello")
    assert talk.messages[0]["content"] == "hello"
