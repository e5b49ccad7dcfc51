import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.grading.code_block import find_program

F = "def f(x):\n    return x + 1\n"
PROMPT = 'import math\n\n\ndef helper(x):\n    return x\n\n\ndef f(x):\n    """ Add one. """\n'


def result(source: str, x: int = 2):
    """What the program's f gives: these programs are ours."""
    scope: dict = {}
    exec(source, scope)
    return scope["f"](x)


@pytest.mark.parametrize(
    "completion",
    [
        F,
        f"```python\n{F}```",
        f"```\n{F}```",
        f"```py\n{F}```\n",
        f"```Python3\n{F}```\n",
        f"``` python\n{F}```\n",
        f'```python title="a.py"\n{F}```\n',
        f"```{{.python}}\n{F}```\n",
        f"~~~\n{F}~~~",
        f"~~~python\n{F}~~~\nprose",
        f"````python\n{F}````",
        f"```python\n{F}",  # cut, or the end token took the fence's place
        f"{F}```",  # the prompt had opened the fence
        f"{F}```\nThis adds one.\n\n```python\nprint(f(1))\n```",
        f"Sure! Here it is:\n\n```python\n{F}```\n\nIt adds one to `x`.",
        f"Sure: ```python\n{F}```",
        "```def f(x): return x + 1```",
        "```python def f(x): return x + 1```",
        "```def f(x):\n    return x + 1```",
        "```python\ndef f(x):\n    return x + 1```",
        f"```bash\npip install numpy\n```\n\n```python\n{F}```",
        f"```python\nimport math\n```\n\n```python\n{F}```",
        f"Output:\n```\n3\n```\n```python\n{F}```",
        f"```python\n{F}```\nUsage:\n```python\nprint(f(5))\n```\nOr:\n```\nf = None\n```",
        f"```\nprose that nothing closes\n```python\n{F}```",
        f"1. First:\n   ```python\n   {F.strip().replace(chr(10), chr(10) + '   ')}\n   ```\n",
        f"[BEGIN]\n{F}[DONE]",
        f"[BEGIN]\n{F}[DONE]\n[BEGIN]\ndef f(x): return 0\n[DONE]",
        f"{F}[DONE]\nmore",
        f"[BEGIN]\n{F}",
        f"Here is the function:\n\n{F}",
        f"Here is the function:\n\n{F}\n\nIt's what you asked for.",
        f"{F}\nThis function adds one.",
        f"{F}\nExplanation:\n- it adds `1`\n",
        f"{F}\nDone",
        f"{F}\nNote: fine",
        f"{F}\nprint(f(5))\n",
        f"{F}\nif x ==",  # cut in the middle of a statement
        F.replace("\n", "\r\n"),
        f"```python\r\n{F}```\r\n".replace("\n", "\r\n"),
        F.replace("\n", "\r"),
        "def f(x):\n    def g(y):\n        return y + 1\n    return g(x)\n\nprint(f(5))",
        "f = lambda x: x + 1",
        "class f(int):\n    def __new__(cls, x):\n        return x + 1\n",
        "if True:\n    def f(x):\n        return x + 1\n" + F,
        "import math\nfrom typing import List\n\n" + F,
        "@staticmethod\n" + F,
        "def f(x):\n    s = '```'\n    return x + 1\n",
    ],
)
def test_the_program_is_found(completion):
    assert result(find_program(completion, "f").source) == 3


def test_the_first_of_several_answers_counts():
    wrong = F.replace("+ 1", "+ 2")
    assert result(find_program(f"```\n{wrong}```\nNo:\n```\n{F}```", "f").source) == 4
    assert result(find_program(f"```\n{F}```\nOr:\n```\n{wrong}```", "f").source) == 3


def test_definitions_of_earlier_blocks_are_kept_and_their_other_statements_are_not():
    completion = (
        "```python\nfrom math import floor\n@staticmethod\ndef g(x):\n    return floor(x) + 1\n"
        "raise ValueError\n```\nand\n```python\ndef f(x):\n    return g(x)\n```"
    )
    assert result(find_program(completion, "f").source) == 3


@pytest.mark.parametrize(
    ("completion", "fault"),
    [
        ("", "no program found"),
        ("I cannot help with that.", "no program found"),
        ("```python\nprint(1)\n```", "no program found"),
        ("def g(x):\n    return x", "no program found"),
        ("```python\ndef f(x):\n    y = 1\n    return (x\n```", "SyntaxError line 3"),
        ("def f(x):\n    return x +", "SyntaxError line 2"),
        ("def f(x):\nreturn x", "SyntaxError line 2"),
        ("The function f should return x.", "no program found"),
        ("def f(x): return '\0'", "SyntaxError"),
        ("f = " + "-" * 5000 + "1", "SyntaxError"),
    ],
)
def test_where_there_is_no_program_the_fault_says_why(completion, fault):
    found = find_program(completion, "f")
    assert (found.source, found.is_plain) == ("", False)
    assert found.fault.startswith(fault)


@pytest.mark.parametrize(
    "completion",
    [
        "    return helper(x) + 1\n",
        "    return helper(x) + 1",
        "return helper(x) + 1",  # a chat model begins without blanks
        "    y = helper(x)\n    return y + 1\n",
        "y = helper(x)\n    return y + 1\n",
        "y = helper(x)\nreturn y + 1\n",
        "if x:\n        x = x + 1\n    return helper(x)\n",
        "if x:\n    x = x + 1\nreturn helper(x)\n",
        "  return helper(x) + 1\n",
        "\n\n    return helper(x) + 1\n",
        "    return helper(x) + 1\n\n\nThis adds one.",
        "    return helper(x) + 1\n\n\nprint(f(1))\n",
        "    return helper(x) + 1\n\ndef g(:\n",
        "    return helper(x) + 1\r\n",
        "```python\n    return helper(x) + 1\n```",
        "```python\nreturn helper(x) + 1\n```",
        "Here is the body:\n\n    return helper(x) + 1\n",
        "    return helper(x) + 1\n```\nprose",
        "def f(x):\n    return helper(x) + 1\n",
        "```python\ndef f(x: float) -> int:\n    return math.floor(helper(x)) + 1\n```",
        "    def f(x):\n        return helper(x) + 1\n",
        f"```python\n{PROMPT}    return helper(x) + 1\n```",
        f"{PROMPT}    return helper(x) + 1\n",
    ],
)
def test_a_body_goes_on_with_the_prompt_and_a_function_replaces_its_head(completion):
    assert result(find_program(completion, "f", PROMPT).source) == 3


@pytest.mark.parametrize("completion", ["", "Certainly", "    x + 1\n", "I return it.", "    "])
def test_a_body_without_a_result_is_no_program(completion):
    assert find_program(completion, "f", PROMPT).source == ""


@pytest.mark.parametrize(
    ("completion", "is_plain"),
    [
        (F, True),
        (f"```python\n{F}```", True),
        (f"Sure:\n```\n{F}```\nIt adds one.", True),
        (f"```python\n{F}", False),
        (f"{F}```", False),
        (f"{F}\nThis adds one.", False),
        (f"Sure:\n{F}", False),
        (f"[BEGIN]\n{F}[DONE]", False),
        (f"```\nimport math\n```\n```\n{F}```", False),
    ],
)
def test_only_code_alone_or_a_closed_block_is_plain(completion, is_plain):
    found = find_program(completion, "f")
    assert found.source
    assert found.is_plain is is_plain


PIECES = [
    *("```", "~~~", "python", "\n", "\r\n", "def f(x):", "    return x", "f = ", "[BEGIN]"),
    *("[DONE]", "'''", '"""', "(", "[", "-", "\0", "\ud800", "é", "\x0c", "\u2028", " ", "\t"),
    *("if 1:\n", "@", "lambda: ", "not ", "class f:", "import math", "return", "\\\n", "prose"),
]


@given(
    st.lists(st.sampled_from(PIECES)).map("".join) | st.text(), st.sampled_from(["", PROMPT])
)
def test_any_text_is_read(text, prompt):
    found = find_program(text, "f", prompt)
    assert bool(found.source) != bool(found.fault)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "```",
            "```\n",
            "```python\n",
            "~~~\n",
            "def f(x):\n",
            "def f(",
            "a ",
            "\n",
            "    \n",
        ),
        *("(", "[BEGIN]", "f=", "```python\ndef f(x): return (\n```\n", " ", "\t\n", "x```\n"),
        *("9", "f = -", "'''\n", "return x\n", "    return x\n", "import a\n", "@a\n", "\\\n"),
        *("f\n", "f: f\n", "f=1<2\n", F, f"```\n{F}```\n", "if f:\n", "`", "``", " ` ", "\r"),
    ],
)
def test_a_million_characters_are_read_in_no_time(piece):
    text = (piece * (10**6 // len(piece) + 1))[: 10**6]
    seconds = []
    for prompt in ("", PROMPT):
        start = time.thread_time()
        find_program(text, "f", prompt)
        seconds.append(time.thread_time() - start)
    assert max(seconds) < 0.5  # of a slow, busy machine
