r"""LaTeX as tokens in one spelling, so that what looks the same is the same.

`\dfrac12` and `\frac{1}{2}`, `\left(`, `\,`, `x ^ 2` and `x^{2}`, `\text{cm}` after a number,
degrees, percent, `\mathrm e`. One pass over the text; what is not known stays as it is. Does
not know what an expression means.
"""

import re

Tokens = tuple[str, ...]

_CHARACTERS = str.maketrans(
    {
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **dict(zip("，．＋－／（）＝＜＞", ",.+-/()=<>", strict=True)),
        **dict.fromkeys("−‒–﹣", "-"),
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u3000\t\n\r", " "),
        **dict.fromkeys("\u200b\u2060\ufeff°$", ""),
        **dict(zip("²³", ("^{2}", "^{3}"), strict=True)),
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": r"\div ",
        "±": r"\pm ",
        "≤": r"\leq ",
        "≥": r"\geq ",
        "≠": r"\neq ",
        "∞": r"\infty ",
        "π": r"\pi ",
        "√": r"\sqrt ",
        "∪": r"\cup ",
        "∈": r"\in ",
        "…": r"\ldots ",
        "θ": r"\theta ",
    }
)
_SPELLINGS = [
    (re.compile(pattern), instead)
    for pattern, instead in [
        (r"\\\$", ""),
        (r"\^ ?(?:\\circ\b|\{ ?\\circ ?\})|\\degree(?![A-Za-z])", ""),
        (r"\\?%|(?<=[0-9]) percent(?![A-Za-z])", ""),
        (r"\\!|(?<=[0-9])\{,\}(?=[0-9])", ""),
        (r"(?<![0-9./])([0-9]+) ([0-9]+)/([0-9]+)(?![0-9/])", r"\1\\frac{\2}{\3}"),
        (r"(?<=[0-9})\]])(?: +(?!(?:and|or|pi)\b)[A-Za-z]{2,20}\b\.?){1,4} *$", ""),
        (r"(?<=[0-9]) +(?=[0-9])", r"\\gap "),
        (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])", " "),
        (r"\\(?:left|right|displaystyle|[bB]igg?[lr]?|limits)(?![A-Za-z])\.?", " "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"\\le(?![A-Za-z])", r"\\leq"),
        (r"\\ge(?![A-Za-z])", r"\\geq"),
        (r"\\ne(?![A-Za-z])", r"\\neq"),
        (r"\\(?:[lc]?dots)\b|\.\.\.", r"\\ldots "),
        (r"\\(?:lvert|rvert|vert|mid)(?![A-Za-z])", "|"),
        (r"\\(?:lbrace)(?![A-Za-z])", r"\\{"),
        (r"\\(?:rbrace)(?![A-Za-z])", r"\\}"),
        (r"\\(?:mathrm|mathbf|mathit|rm) ?(?:\{ ?([A-Za-z]) ?\}|([A-Za-z])\b)", r"\1\2"),
        (r"\\(?:emptyset|varnothing)(?![A-Za-z])", r"\\emptyset "),
        (r"\\(?:to|rightarrow)(?![A-Za-z])", r"\\to "),
        (r"\\(frac|binom) *([0-9]|(?<= )[A-Za-z]|\\[a-z]+) *(?=[0-9A-Za-z{\\])", r"\\\1{\2}"),
        (r"\\(frac|binom) *(\{[^{}]*\}) *([0-9A-Za-z])", r"\\\1\2{\3}"),
        (r"\\sqrt *([0-9]+|(?<= )[A-Za-z])", r"\\sqrt{\1}"),
        (r"([\^_]) *(-?[0-9]+|[A-Za-z]|\\[a-z]+)", r"\1{\2}"),
    ]
]
_THOUSANDS = re.compile(
    r"(?<![0-9.,(\[])(?<!\\\{)[1-9][0-9]{0,2}"
    r"(?:(?:,|,\\!|\{,\}|\\,| |\\ )[0-9]{3})++(?![0-9]|,[0-9])"
)
_TEXT = (
    r"\\(?:text(?:bf|it|rm|sf|normal)?|mbox|hbox|math(?:rm|bf|it|sf)|operatorname) ?\{[^{}]*\}"
)
_TOKEN = re.compile(rf"{_TEXT}|\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|[^\s]", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")


def read_tokens(text: str) -> Tokens:
    r"""Tokens of a text in one spelling.

    >>> "".join(read_tokens(r"\dfrac12 x^2\text{ cm}"))
    '\\frac{1}{2}x^{2}'
    """
    text = _THOUSANDS.sub(lambda m: re.sub("[^0-9]", "", m[0]), text.translate(_CHARACTERS))
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    tokens = _strip_ends([match[0] for match in _TOKEN.finditer(text)])
    return tuple(tokens)


def write_tokens(tokens: Tokens) -> str:
    """Tokens as a text that LaTeX reads again."""
    return re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", " ".join(tokens)).strip()


def is_text(token: str) -> bool:
    r"""Whether a token is `\text{…}`."""
    return token.startswith("\\") and token.endswith("}") and len(token) > 2


def read_words(text: str) -> list[str]:
    r"""The words of a text that is words only, singular and in lower case; else none.

    >>> read_words(r"\text{No solutions}"), read_words("x^2"), read_words(r"\text{(B)}")
    (['no', 'solution'], [], ['B'])
    """
    inner = re.sub(r"\\[A-Za-z]+ ?\{([^{}]*)\}", r" \1 ", text.replace("$", " "))
    if re.search(r"[^A-Za-z\s.,;:()'!-]", inner):
        return []
    words = _WORD.findall(inner)
    return [w if len(w) == 1 else re.sub("(?<=[a-z]{3})s$", "", w.lower()) for w in words]


def _strip_ends(tokens: list[str]) -> list[str]:
    """Without punctuation and units at the end, and emphasis around."""
    while tokens and tokens[-1] in (".", ",", ";", ":", "*", "\\gap"):
        tokens = tokens[:-1]
    while tokens and tokens[0] in ("*", ":"):
        tokens = tokens[1:]
    end = len(tokens)
    if end > 4 and tokens[end - 4] == "^" and is_text(tokens[end - 5]):
        end -= 4
    elif end > 2 and tokens[end - 2] == "^" and is_text(tokens[end - 3]):
        end -= 2
    while end > 1 and is_text(tokens[end - 1]) and _is_unit(tokens[end - 1]):
        end -= 1
    return tokens[:end] if end < len(tokens) and not is_text(tokens[end - 1]) else tokens


def _is_unit(token: str) -> bool:
    return not re.search(r"\b(?:and|or|[ap]\.? ?m\.?)(?![A-Za-z])|[0-9]", token, re.IGNORECASE)
