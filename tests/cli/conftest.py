"""A folder with two tiny models and what was trained on them, and `t2` run inside it."""

import io
import json
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from helpers import random_scales, tiny_network, tiny_tokenizer
from mlx.utils import tree_flatten
from mlx_t2_cli.main import main

from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel


def pytest_collection_modifyitems(items):
    """Commands are whole runs: the shapes inside are checked by the tests of their parts."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("whole_runs")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """Stdout, which has to be one JSON object and nothing else."""
        result = json.loads(self.stdout)
        assert isinstance(result, dict)
        return result

    @property
    def said(self) -> str:
        """Stderr as one line, without the frame around a usage error."""
        return " ".join(re.sub("[│╭╮╰╯─]", " ", self.stderr).split())


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """Models `tiny` and `other`, of one form and different weights; a file called `taken`."""
    folder = tmp_path_factory.mktemp("place")
    for seed, name in enumerate(("tiny", "other")):
        _save_model(folder / name, seed)
    (folder / "taken").write_text("a file where a folder is wanted\n")
    return folder


def _save_model(folder: Path, seed: int) -> None:
    network = tiny_network(seed)
    folder.mkdir()
    settings = {k: v for k, v in asdict(network.args).items() if v is not None}
    (folder / "config.json").write_text(json.dumps(settings))
    weights = dict(tree_flatten(network.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    tiny_tokenizer().save_pretrained(folder)


@pytest.fixture(scope="session")
def t2(place, tmp_path_factory) -> Callable[..., Ran]:
    """Run `t2` as the program does, in this process, in `place` and with a cache of its own."""
    own_cache = tmp_path_factory.mktemp("cache")

    def run(
        line: str, stdin: str | bytes = "", cache: Path = own_cache, folder: Path = place
    ) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("MLX_T2_CACHE", str(cache))
            patch.setattr(sys, "argv", ["t2", *shlex.split(line)])
            data = stdin.encode() if isinstance(stdin, str) else stdin
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        return Ran(ended.value.code or 0, _plain(out.getvalue()), _plain(err.getvalue()))

    return run


def _plain(text: str) -> str:
    """Without colours, which some environments ask for."""
    return re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", text)


@pytest.fixture(scope="session")
def trained(t2) -> Ran:
    """A short training in the run folder `run`. Random weights answer nothing rightly, so
    every step is skipped.
    """
    return t2(
        "train largest --model tiny --out run --steps 2 --prompts 3 --group 2 "
        "--validation 4 --test 4 --json"
    )


@pytest.fixture(scope="session")
def experts(place) -> Path:
    """A folder of experts of `tiny`, alpha and beta, strong enough to change any answer; and
    beside it `foreign.safetensors`, of other layers of `other`.
    """
    folder = place / "experts"
    for draw, name in enumerate(("alpha", "beta")):
        _draw_expert("tiny", 0, "mlp", draw).save(folder / f"{name}.safetensors")
    _draw_expert("other", 1, "attention", 2).save(place / "foreign.safetensors")
    return folder


@pytest.fixture(scope="session")
def unlike(place) -> Path:
    """A folder of two experts of `tiny` on layers that they do not share, alpha and gamma."""
    for draw, (name, targets) in enumerate((("alpha", "mlp"), ("gamma", "attention"))):
        _draw_expert("tiny", 0, targets, draw).save(place / "unlike" / f"{name}.safetensors")
    return place / "unlike"


def _draw_expert(model_name: str, model_seed: int, targets: str, draw: int) -> Expert:
    model = SVFModel(model_name, tiny_network(model_seed), tiny_tokenizer())
    modules = dict(model.network.named_modules())
    shapes = {path: (min(modules[path].weight.shape),) for path in model.find_targets(targets)}
    scales = random_scales(shapes, draw, spread=3)
    fingerprint = model.fingerprint(targets)
    return Expert(
        "drawn", scales, model_name, fingerprint, targets, None, "largest", draw, {}, {}
    )
