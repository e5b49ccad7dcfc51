"""The conversation: what can be typed, what is remembered, and what Ctrl-C keeps."""

import builtins
import doctest
import json
import re
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import pytest
from mlx_t2_cli import choice, render
from mlx_t2_cli.chat import commands, footer, lines, sessions, votes, why
from mlx_t2_cli.chat.commands import COMMANDS, offer_words
from mlx_t2_cli.chat.conversation import Conversation, Turn
from mlx_t2_cli.chat.lines import Lines
from mlx_t2_cli.chat.settings import Settings
from mlx_t2_cli.chat.talk import Chat
from mlx_t2_cli.chat.turns import loop, take_turn

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ModelError
from mlx_t2.experts import Expert
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
    assert re.search(r"worn\s+the base model", ran.stdout)
    assert len(ran.said.split("until then")) == 2


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
    assert re.search(r"asked for\s+off", after)
    assert prompt_tokens(after) == [13]
    assert "6 tokens" in after
    assert re.search(r"ended by\s+length", after)


def test_why_tells_of_the_router_the_first_pass_and_the_layers_that_change_most(
    talk, experts, monkeypatch
):
    talk.wardrobe = type(talk.wardrobe)(experts)
    router = SimpleNamespace(threshold=0.75)
    monkeypatch.setattr("mlx_t2.adaptation.find_router", lambda *_: (router, Path("r")))
    route = {"weights": {"alpha": 1.0, "beta": 0.0}, "first_pass_ms": 8.0}
    scores = {"beta": 0.125, "other": 0.0, "alpha": 0.875}
    turn = Turn(
        "q", "a", "auto", model=talk.name, route=route, scores=scores, first_pass_tokens=12
    )
    told = dict(why.explain_turn(talk, turn))
    assert told["router"] == "r; an expert answers where it is 0.750 sure"
    assert told["first pass"] == "12 tokens, 8 ms"
    assert list(told)[3:6] == [" alpha", " beta", " base (other)"]
    assert told[" beta"] == "0.125 ███ runner-up"
    assert told["worn"] == "1.00 alpha"
    scales = Expert.load(experts / "alpha.safetensors").scales
    largest = max(float(mx.abs(z - 1).max()) for z in scales.values())
    assert told["|z − 1| by layer"].endswith(f"2 layers, {largest:.2f} at most")
    assert f" {largest:.2f}, " in told["most in"]


def test_why_says_what_it_can_where_experts_and_routers_are_gone(talk, experts):
    talk.wardrobe = type(talk.wardrobe)(experts)
    route = {"weights": {"gone": 1.0}, "first_pass_ms": 8.0}
    turn = Turn("q", "a", "auto", model=talk.name, route=route, scores={"gone": 1.0})
    told = dict(why.explain_turn(talk, turn))
    assert list(told) == ["asked for", "first pass", " gone", "worn"]
    assert told["first pass"] == "8 ms"


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
    assert re.search(r"alpha\s+│ largest\s+│\s+│ tiny\s+│ no", shown)
    worn = shown.index("1.00 alpha")
    base = t2("generate hello --model tiny --max-tokens 6").stdout
    assert base not in shown[:worn]
    assert base in shown[worn:]
    assert "the base model" in shown[worn:]


@pytest.mark.parametrize("name", ["foreign.safetensors", "auto"])
def test_an_expert_that_is_refused_leaves_the_one_that_is_worn(t2, experts, name):
    lines = ["/expert alpha", f"/expert {name}", "hello", "/why"]
    ran = t2(f"{CHAT} --experts experts", typed(*lines))
    assert ran.code == 0
    assert "was trained on 'other'" in ran.said or "router.safetensors" in ran.said
    assert "1.00 alpha" in ran.stdout


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
    assert "1.00 alpha" in ran.stdout
    assert len(decomposed) == 1


def test_experts_of_unlike_layers_are_worn_in_turn_with_a_decomposition_each(
    t2, unlike, decomposed
):
    lines = [f"/expert {name}" for name in ("alpha", "gamma", "alpha", "gamma")]
    ran = t2(f"{CHAT} --experts unlike", typed(*lines, "hello", "/why"))
    assert "1.00 gamma" in ran.stdout
    assert len(decomposed) == 2


# Ctrl-C


@pytest.fixture
def talk(tiny_model) -> Chat:
    """A conversation with the base model."""
    sampling = SamplingConfig(temperature=0, max_tokens=6)
    return Chat(tiny_model, Conversation(Settings(sampling), "off"))


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
        take_turn(talk, "hello")
    (turn,) = talk.conversation.turns
    assert (len(turn.answer), turn.finish_reason) == (3, "interrupted")
    assert talk.model.worn == {}
    capsys.readouterr()
    take_turn(talk, "go on")
    assert talk.conversation.last.answer == capsys.readouterr().out.strip("\n")
    assert talk.conversation.last.finish_reason == "length"


def test_ctrl_c_in_the_first_pass_takes_the_question_back(talk, monkeypatch):
    take_turn(talk, "hello")
    said = talk.conversation.messages()
    with monkeypatch.context() as patch:
        patch.setattr(Fixed, "adapt", interrupted(talk.strategy.adapt, 0))
        take_turn(talk, "and now")
    assert talk.conversation.messages() == said
    take_turn(talk, "and now")
    assert len(talk.conversation.messages()) == len(said) + 2


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
    loop(talk, Lines(is_person=True))
    assert prompts == ["off › "] * 3
    assert talk.conversation.last.answer == capsys.readouterr().out.strip("\n")


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
        take_turn(talk, "too long")
    assert "the prompt has 9 tokens" in capsys.readouterr().err
    take_turn(talk, "hello")
    assert [turn.question for turn in talk.conversation.turns] == ["hello"]


# Words


def test_the_examples_are_true():
    for module in (choice, commands, footer, lines, votes, why):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("off", "the base model"),
        ("none", "the base model"),
        ("alpha", "1.00 alpha"),
        ("alpha=0.5,beta=0.5", "0.50 alpha + 0.50 beta"),
        ("experts/alpha.safetensors", "1.00 experts/alpha.safetensors"),
    ],
)
@pytest.mark.parametrize("flag", ["--expert", "/expert"])
def test_one_word_means_the_same_as_flag_and_as_command(t2, experts, word, label, flag):
    typed_in, given = ([f"/expert {word}"], "") if flag == "/expert" else ([], f"-e {word}")
    chat = f"chat --model tiny --max-tokens 6 --experts experts {given}"
    ran = t2(chat, typed(*typed_in, "hello", "/why"))
    assert re.search(rf"worn\s+{re.escape(label)}", ran.stdout), ran.stdout
    told = t2(f"generate hello --model tiny --max-tokens 6 --experts experts --expert {word}")
    assert told.code == 0
    assert told.stdout.splitlines()[0] in ran.stdout


def test_generate_and_chat_have_the_same_flags_and_say_what_they_begin_with(t2):
    flags, said = {}, {}
    for command in ("generate", "chat"):
        shown = t2(f"{command} --help")
        flags[command] = set(re.findall(r"--[a-z-]+", shown.stdout))
        said[command] = " ".join(re.sub("[│╭╮╰╯─]", " ", shown.stdout).split())
    own = {"--json", "--no-stdin"}
    of_chat = {"--resume", "--session", "--no-history", "--adapt-every"}
    assert flags["generate"] - own - {"--adapt", "--expert", "--mix"} == (
        flags["chat"] - of_chat - {"--adapt", "--expert", "--mix"}
    )
    assert "Default: auto." in said["chat"]
    assert "Default: off." in said["generate"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("/ex", ["/expert", "/experts", "/export", "/exit"]),
        ("/expert a", ["auto", "alpha"]),
        ("/expert alpha=0.5,b", ["beta"]),
        ("/mix ", ["alpha", "beta"]),
        ("/compare alpha o", ["off"]),
        ("/set t", ["temperature", "top-p", "top-k"]),
        ("/load ", []),
        ("hello a", []),
        ("/nonsense a", []),
    ],
)
def test_tab_offers_commands_and_what_belongs_to_them(talk, experts, line, offered):
    talk.wardrobe = type(talk.wardrobe)(experts)
    assert [word for word, _ in offer_words(talk, line)] == offered


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_nonsense_with_one_line(talk, experts, command, capsys):
    talk.wardrobe = type(talk.wardrobe)(experts)
    for rest in ("", " ,,=", " no-such-thing"):
        take_turn(talk, command + rest)
        talk.answer_next = None
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err


# Turns


def roles(talk):
    return [message["role"] for message in talk.conversation.messages()]


def test_undo_takes_back_a_turn_and_retry_answers_it_again(talk):
    take_turn(talk, "hello")
    take_turn(talk, "go on")
    first, second = talk.conversation.turns
    take_turn(talk, "/retry")
    assert talk.conversation.turns[1].answer == second.answer  # greedy
    assert talk.conversation.turns[1].read_tokens == 1
    take_turn(talk, "/set temperature 1")
    take_turn(talk, "/retry")
    assert talk.conversation.turns[1].answer != second.answer
    take_turn(talk, "/undo")
    assert talk.conversation.turns == [first]
    take_turn(talk, "/edit something else")
    assert [turn.question for turn in talk.conversation.turns] == ["something else"]


def test_edit_begins_the_next_line_with_the_question(talk):
    take_turn(talk, "hello")
    talk.can_edit = True
    take_turn(talk, "/edit")
    assert (talk.conversation.draft, talk.conversation.turns) == ("hello", [])


def test_a_second_turn_reads_its_new_tokens(talk):
    for question in ("the length of a list", "and now"):
        take_turn(talk, question)
    first, second = talk.conversation.turns
    assert first.read_tokens == first.prompt_tokens
    assert second.read_tokens < second.prompt_tokens - first.prompt_tokens + 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/set top-p 2", "/set top-p: got 2.0, expected more than 0, at most 1"),
        ("/set top-k many", "/set top-k: got 'many', expected a whole number"),
        ("/set markdown yes", "/set markdown: got 'yes', expected on or off"),
        ("/set colour red", "/set colour: unknown, expected one of temperature,"),
        ("/mix alpha", "/mix: got 'alpha', expected NAME=NUMBER"),
        ("/compare", "compare: nothing has been asked yet"),
        ("/compare off off hello", "compare: got 'off' twice"),
        ("/retry", "/retry: nothing has been asked yet"),
        ("/undo", "/undo: nothing has been asked yet"),
        ("/edit", "/edit: nothing has been asked yet"),
        ("/load nowhere", "session 'nowhere': unknown, expected one of: none is kept"),
        ("/load ../x", "session: got the name '../x', expected one of a file"),
        ("/export notes.txt", "expected a file that ends in .md, .json, .jsonl"),
        ("/model no-such-model", "no-such-model"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(talk, capsys, line, said):
    take_turn(talk, line)
    shown = capsys.readouterr().err
    assert said in shown
    assert talk.conversation.turns == []


def test_settings_are_those_that_answers_are_drawn_with(t2):
    lines_ = typed("/set temperature 1", "/set top-k 1", "/set max-tokens 4", "hello")
    greedy = t2("generate hello --model tiny --max-tokens 4").stdout
    assert t2(CHAT, lines_).stdout.endswith(greedy)
    flags = "--temp 1 --top-k 1 --max-tokens 4"
    assert t2(f"chat --model tiny --adapt off {flags}", "hello").stdout == greedy
    assert t2(f"generate hello --model tiny {flags}").stdout == greedy


def test_three_quotes_make_one_message_of_several_lines(t2):
    ran = t2(CHAT, typed('"""', "one", "two", '"""', "/stats", "one", "/reset", "one\\ntwo"))
    one = t2(CHAT, typed('"""one', 'two"""', "/stats"))
    assert prompt_tokens(one.stdout) == prompt_tokens(ran.stdout)[:1]


# Two answers


def test_compare_answers_as_each_would_alone_and_changes_nothing(t2, experts):
    chat = f"{CHAT} --experts experts"
    ran = t2(chat, typed("/compare alpha off hello", "/stats"))
    alone = [
        t2(f"generate hello --model tiny --max-tokens 6 --experts experts -e {word}").stdout
        for word in ("alpha", "off")
    ]
    first, second = ran.stdout.split("── off ──\n")
    assert alone[0].strip() in first
    assert second.startswith(alone[1])
    assert "nothing has been answered yet" in second


def test_a_blind_vote_is_counted_and_names_are_hidden_until_then(t2, experts, monkeypatch):
    monkeypatch.setattr("random.shuffle", lambda words: words.reverse())
    chat = f"{CHAT} --experts experts --session votes"
    ran = t2(chat, typed("/blind alpha off hello", "2", "/blind alpha off hello", "?"))
    shown, _ = ran.stdout.split("1 is off, 2 is alpha\n", 1)
    assert "alpha" not in shown
    assert "off 0 · alpha 1 · even 0 (1 vote)" in ran.said
    assert "no vote was counted" in ran.said
    assert [vote.preferred for vote in votes.read_votes()] == ["alpha"]


# Sessions


def test_a_session_is_one_json_line_per_turn_and_can_be_gone_on_with(t2):
    whole = t2(CHAT, typed("hello", "go on", "more", "/stats"))
    chat = f"{CHAT} --session work"
    t2(chat, typed("hello", "go on"))
    file = sessions.sessions_dir() / "work.jsonl"
    turns = [json.loads(line) for line in file.read_text().splitlines()]
    assert [turn["question"] for turn in turns] == ["hello", "go on"]
    assert turns[1]["route"]["strategy"] == "none"
    for flag in ("--resume", "--session work"):
        ran = t2(f"{CHAT} {flag}", typed("more", "/stats", "/undo"))
        assert "work: 2 turns; the last question was: go on" in ran.said
        assert whole.stdout.splitlines()[2] in ran.stdout
        assert prompt_tokens(ran.stdout) == prompt_tokens(whole.stdout)
    assert len(file.read_text().splitlines()) == 2


def test_a_conversation_that_is_piped_is_kept_only_under_a_name(t2):
    t2(CHAT, typed("hello"))
    assert sessions.session_names() == []
    ran = t2(f"{CHAT} --resume")
    assert (ran.code, ran.said) == (
        1,
        "--resume: no conversation is kept yet, expected one to go on with",
    )


def test_save_load_and_export_are_the_conversation(t2, tmp_path):
    lines_ = ["/system be brief", "hello", "/save one", "/reset", "/load one", "go on"]
    exports = [f"/export {tmp_path / 'x'}{ending}" for ending in (".md", ".json", ".jsonl")]
    ran = t2(CHAT, typed(*lines_, *exports, exports[0]))
    assert "is there already, expected a new file" in ran.said
    messages = json.loads((tmp_path / "x.json").read_text())["messages"]
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 2]
    assert "**hello**" in (tmp_path / "x.md").read_text()
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == 2
    assert len((sessions.sessions_dir() / "one.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]\n{}\n", "line 1: got b'[1]', expected a JSON object"),
        ('{"answer": "a"}\n{}\n', "line 1: got no question, expected a turn of a chat"),
        ('{"question": 3}\n', "line 1: question: got 3, expected a text"),
        ('{"question": "q", "seconds": "x"}\n', "line 1: seconds: got 'x', expected a number"),
    ],
)
def test_a_session_that_is_damaged_is_named_with_its_line(t2, content, said):
    sessions.sessions_dir().mkdir(parents=True)
    (sessions.sessions_dir() / "bad.jsonl").write_text(content)
    ran = t2(f"{CHAT} --session bad", "")
    assert ran.code == 1
    assert said in ran.said


def test_a_last_line_that_was_torn_is_left_out_and_written_anew(t2):
    t2(f"{CHAT} --session torn", typed("hello", "go on"))
    file = sessions.sessions_dir() / "torn.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    ran = t2(f"{CHAT} --session torn", typed("more"))
    assert "torn: 1 turn;" in ran.said
    questions = [json.loads(line)["question"] for line in file.read_text().splitlines()]
    assert questions == ["hello", "more"]


def test_a_conversation_goes_on_where_it_cannot_be_kept(t2, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("MLX_T2_HOME", str(tmp_path / "home"))
    ran = t2("chat --model tiny --adapt off --max-tokens 6", typed("hello", "/save x", "hello"))
    assert ran.code == 0
    assert ran.said.count("cannot be") >= 1
