"""Situations of other people: models."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
from hands.case import Case
from helpers import tiny_network
from mlx.utils import tree_flatten
from mlx_lm.models import gpt2


def write(text: str | None) -> Callable[[Path], None]:
    """The model `tiny` with another chat template, or none."""

    def prepare(place: Path) -> None:
        for name in ("chat_template.jinja", "additional_chat_templates"):
            (place / "tiny" / name).unlink(missing_ok=True)
        file = place / "tiny" / "tokenizer_config.json"
        settings = json.loads(file.read_text())
        settings.pop("chat_template", None)
        file.write_text(json.dumps(settings | ({"chat_template": text} if text else {})))

    return prepare


PLAIN = "{% for m in messages %}<s>{{ m['content'] }}<end>{% endfor %}"
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}" + PLAIN
)
DROPS_SYSTEM = (
    "{% for m in messages if m['role'] != 'system' %}<s>{{ m['content'] }}<end>{% endfor %}"
)
ALTERNATE = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}" + PLAIN
)
BROKEN = "{{ raise_exception('this template is broken') }}"


def positions(place: Path) -> None:
    """A model `gpt2` of 24 positions."""
    folder = place / "gpt2"
    shutil.copytree(place / "tiny", folder)
    args = gpt2.ModelArgs(
        model_type="gpt2", n_ctx=24, n_embd=32, n_head=4, n_layer=2, n_positions=24,
        layer_norm_epsilon=1e-5, vocab_size=64,
    )  # fmt: skip
    mx.random.seed(0)
    _write(folder, args, gpt2.Model(args))


def _write(folder: Path, args, network) -> None:
    settings = {k: v for k, v in asdict(args).items() if v is not None}
    (folder / "config.json").write_text(json.dumps(settings))
    weights = dict(tree_flatten(network.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})


def broken(path: str, value: float = float("nan")) -> Callable[[Path], None]:
    """The model `tiny` with an entry of one weight that is not a number."""

    def prepare(place: Path) -> None:
        network = tiny_network()
        weights = dict(tree_flatten(network.parameters()))
        weights[path][0] = value
        network.load_weights(list(weights.items()))
        _write(place / "tiny", network.args, network)

    return prepare


def huge_expert(place: Path) -> None:
    from mlx_t2.experts import Expert

    expert = Expert.load(place / "experts" / "alpha.safetensors")
    for path in expert.scales:
        expert.scales[path] = expert.scales[path] * 1e30
    expert.save(place / "experts" / "alpha.safetensors")


def no_end(place: Path) -> None:
    file = place / "tiny" / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings.pop("eos_token")
    file.write_text(json.dumps(settings))


def small_table(place: Path) -> None:
    """An embedding with fewer rows than the tokenizer has tokens."""
    network = tiny_network()
    network.args.vocab_size = 20
    network = type(network)(network.args)
    _write(place / "tiny", network.args, network)


def missing(place: Path) -> None:
    weights: dict = dict(tree_flatten(tiny_network().parameters()))
    weights = {path: w for path, w in weights.items() if "down_proj" not in path}
    mx.save_safetensors(str(place / "tiny" / "model.safetensors"), weights, {"format": "mlx"})


def renamed(name: str) -> Callable[[Path], None]:
    return lambda place: (place / "tiny").rename(place / name) and None


TEMPLATE, TABLE, FINITE, FOLDER = "chat template", "past a table", "not finite", "model folder"
GENERATE = "generate 'one, two' --model tiny --max-tokens 4"
EVALUATE = "eval largest --model tiny --limit 2"
WHOLE = "24, which it has positions for"

CASES: list[Case] = [
    Case(kind=TEMPLATE, words=GENERATE, code=0, said="no chat template", prepare=write(None)),
    Case(
        kind=TEMPLATE,
        words=EVALUATE,
        code=0,
        said="no system message",
        prepare=write(NO_SYSTEM),
    ),
    Case(
        kind=TEMPLATE,
        words=EVALUATE,
        code=0,
        said="no system message",
        prepare=write(DROPS_SYSTEM),
    ),
    Case(
        kind=TEMPLATE,
        words=EVALUATE,
        code=0,
        said="no system message",
        prepare=write(ALTERNATE),
    ),
    Case(
        kind=TEMPLATE,
        words="train largest --model tiny --out run --steps 1",
        code=1,
        said="(this template is broken)",
        prepare=write(BROKEN),
    ),
    Case(
        kind=TEMPLATE,
        words=GENERATE,
        code=1,
        said="its chat template drops the question",
        prepare=write("{# #}"),
    ),
    Case(
        kind=TEMPLATE,
        words="chat --model tiny --adapt none --max-tokens 2",
        code=0,
        said="(this template is broken)",
        prepare=write(BROKEN),
        stdin=b"one\ntwo\n/quit\n",
    ),
    Case(
        kind=TABLE,
        words=f"generate '{'a' * 40}' --model gpt2",
        code=1,
        said="gpt2: got ",
        prepare=positions,
    ),
    Case(kind=TABLE, words="eval largest --model gpt2", code=1, said=WHOLE, prepare=positions),
    Case(
        kind=TABLE,
        words="train largest --model gpt2 --out run --steps 1",
        code=1,
        said=WHOLE,
        prepare=positions,
    ),
    Case(
        kind=TABLE,
        words="generate 'a b' --model gpt2 --max-tokens 50",
        code=0,
        said="it has 24 positions",
        prepare=positions,
    ),
    Case(kind=TABLE, words=GENERATE, code=1, said="got token", prepare=small_table),
    Case(kind=FINITE, words=GENERATE, code=1, said="norm", prepare=broken("model.norm.weight")),
    Case(
        kind=FINITE,
        words=EVALUATE,
        code=1,
        said="model.embed_tokens.weight has entries",
        prepare=broken("model.embed_tokens.weight", float("inf")),
    ),
    Case(
        kind=FINITE,
        words="train largest --model tiny --out run --steps 1 --validation 2 --test 2",
        code=1,
        said="model.layers.1.input_layernorm.weight has entries",
        prepare=broken("model.layers.1.input_layernorm.weight"),
    ),
    Case(
        kind=FINITE,
        words=f"{GENERATE} --expert experts/alpha.safetensors",
        code=1,
        said="expert experts/alpha.safetensors: tiny: its scores are NaN",
        prepare=huge_expert,
    ),
    Case(
        kind=FOLDER,
        words="generate a --model 'Llama [4bit]' --max-tokens 2",
        code=0,
        prepare=renamed("Llama [4bit]"),
    ),
    Case(
        kind=FOLDER,
        words="generate a --model 'what? *' --max-tokens 2",
        code=0,
        prepare=renamed("what? *"),
    ),
    Case(kind=FOLDER, words=GENERATE, code=0, said="no end token", prepare=no_end),
    Case(
        kind=FOLDER,
        words=GENERATE,
        code=1,
        said="Missing 2 parameters: model.layers.0.mlp.down_proj.weight",
        prepare=missing,
    ),
    Case(
        kind=FOLDER,
        words="generate a --model nobody/none-such",
        code=1,
        said="nobody/none-such: it is not on this disk",
    ),
]
