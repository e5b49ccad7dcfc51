"""The options of `t2 train` are the fields of TrainConfig."""

import dataclasses
import subprocess
import sys
from typing import Literal, get_args, get_origin

import pytest
from mlx_t2_cli.train_options import train_options

from mlx_t2.training import TrainConfig
from mlx_t2.training.config import setting_types

OPTIONS = {option.name: option for option in train_options()}
FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}


def test_every_setting_has_an_option_in_the_order_of_the_fields():
    assert list(OPTIONS) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_has_the_type_of_its_setting(name):
    kind = setting_types()[name]
    expected = {str} if get_origin(kind) is Literal else {*get_args(kind)} or {kind}
    assert {*get_args(OPTIONS[name].annotation)} == expected | {type(None)}


@pytest.mark.parametrize("name", FIELDS)
def test_the_help_ends_with_the_default(name):
    text, default = OPTIONS[name].default.help, FIELDS[name].default
    if isinstance(default, bool):
        flag = OPTIONS[name].default.param_decls[0].split("/")[not default].lstrip("-")
        assert text.endswith(f"({flag}).")
    elif default is None:
        assert not text.endswith(").")
    else:
        assert type(default)(text.rpartition("(")[2].removesuffix(").")) == default


def test_the_names_of_choices_are_in_the_help():
    for name, kind in setting_types().items():
        if get_origin(kind) is Literal:
            text = OPTIONS[name].default.help
            assert [word for word in get_args(kind) if word not in text] == []


def test_what_is_not_given_is_left_to_files_and_presets():
    assert {option.default.default for option in OPTIONS.values()} == {None}


def test_help_needs_no_mlx():
    program = (
        "import sys; from mlx_t2_cli.program import app; "
        "app(['train', '--help'], standalone_mode=False); "
        "sys.exit('mlx' in sys.modules or 'mlx_t2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--prompts" in done.stdout


def test_the_command_keeps_its_own_options(t2):
    shown = t2("train --help").stdout
    for flag in ("--out", "--resume", "--dry-run", "-c", "-P", "-G", "--temp", "--unbalanced"):
        assert flag in shown
