r"""A completion graded by the option that it chooses.

Options have keys (`A` to `E`, `1` to `5`, any others) and texts. A completion names a key, a
text, or a letter or digit that counts the options where the keys are of the other kind (`B` for
the key `2`). Options with the same text are one answer. What is marked as the answer counts
before what is mentioned, the last mention before earlier ones; "not B" is no choice of B.

Does not know where options are from.
"""

import re
from collections.abc import Mapping

from mlx_t2.errors import TaskDataError

from .answers import final_text, find_statements, unwrap
from .grade import RIGHT, Grade, mismatch, wrong
from .numbers import spell

Options = Mapping[str, str]

_KEY = re.compile(
    r"(?<![\w'’\\-])(?P<not>(?:not|isn't|than|except) (?:option |answer |choice )?)?"
    r"(?P<open>[(\[])?(?P<key>[A-Za-z]|[0-9]{1,2})(?P<close>[)\]]|[.:](?=\s|$))?(?![\w'’-]|\.[0-9])"
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CHOSEN = re.compile(
    r"\b(?:(?:correct|right|best) (?:option|choice|one)|option|choice|choose|select|pick"
    r"|go with|(?:i )?(?:think|believe|guess|say)(?: it is| it's| that it is)?|it is|it's"
    r"|must be)"
    r"(?: is)?:? ([^\n]{1,60})",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?:[-+.](?=[0-9]))?[^\W_]+(?:[.,'’/%-][^\W_]+)*|[^\w\s.,;:!?\"'()]")
_SENTENCE_END = re.compile(r"(?<=[\w)])[.;!?](?:\s|$)|\n")
_LINE_KEY = re.compile(r"^[(\[]?(\w{1,2})[)\]]?[.:)\]] ", re.MULTILINE)
_EDGES = " \t\n.,;:!?\"'“”‘’()[]{}$"


def grade_choice(completion: str, answer: str, options: Options, by: str = "key") -> Grade:
    """Right where the chosen option is the reference, a key or an option's text.

    by: what a completion or reference that could be either is: a "key" or a "text".

    >>> grade_choice("It is not B, the answer is D", "D", {"B": "iron", "D": "gold"}).is_right
    True
    """
    options = options or name_options(_LETTERS)
    expected = keys_of(answer, options, by)
    if not expected:
        return wrong(mismatch(f"the reference {answer!r}", _list(options)))
    text = final_text(completion)
    if text is None:
        return wrong("still thinking: no answer after <think>")
    got = _read(text, options, by)
    if not got:
        return wrong(mismatch(repr(text.strip()), f"one of {_list(options)}"))
    if got & expected:
        return RIGHT
    return wrong(mismatch(_show(got, options), _show(expected, options)))


def keys_of(text: str, options: Options, by: str = "key") -> frozenset[str]:
    """The keys that a whole text names; none where it names none, or several that differ.

    >>> sorted(keys_of("iron", {"A": "iron", "B": "gold", "C": "Iron."}))
    ['A', 'C']
    """
    bare = _bare(text)
    named = {"key": _by_key(bare, options), "text": _by_text(bare, options)}
    ways = ("text", "key") if by == "text" else ("key", "text")
    return named[ways[0]] or named[ways[1]] or _by_place(bare, options)


def check_choice(answer: str, options: Options, by: str = "key", where: str = "answer") -> None:
    """Refuses a reference that is none of the options.

    Raises: TaskDataError.
    """
    named = options or name_options(_LETTERS)
    if not keys_of(answer, named, by):
        expected = f"one of {_list(named)}" if options else "a letter: it has no options"
        raise TaskDataError(f"{where}: {mismatch(repr(answer), expected)}")


def name_options(texts: list[str] | tuple[str, ...] | str) -> dict[str, str]:
    """Options by letters, in order.

    >>> name_options(["yes", "no"])
    {'A': 'yes', 'B': 'no'}
    """
    return dict(zip(_LETTERS, texts, strict=False))


def _read(text: str, options: Options, by: str) -> frozenset[str]:
    """The option that a completion chooses: as a whole, marked, announced or mentioned last."""
    if whole := keys_of(text[:2000], options, by):
        return whole
    for statement in reversed(find_statements(text)[-20:]):
        if statement.text is None:
            return frozenset()
        if named := _span(statement.text, options, by):
            return named
    for match in reversed([*_CHOSEN.finditer(text)][-20:]):
        if not _is_denied(text, match.start(1)) and (named := _span(match[1], options, by)):
            return named
    return _opening(text, options) or _mentioned(text, options)


def _opening(text: str, options: Options) -> frozenset[str]:
    """The key that a completion begins with, "B) because A is soft"; none of a list of keys."""
    starts = [*_LINE_KEY.finditer(_strip_markup(text).lstrip())]
    if len(starts) != 1 or starts[0].start() > 0:
        return frozenset()
    return _by_key(starts[0][1], options)


def _span(text: str, options: Options, by: str) -> frozenset[str]:
    """What a marked span chooses: as a whole, by its first key, or by the text it mentions."""
    text = unwrap(text)
    if whole := keys_of(text, options, by):
        return whole
    sentence = _SENTENCE_END.split(_strip_markup(text).strip(), maxsplit=1)[0]
    sentence = sentence.partition("\\")[0]  # the letters of a formula are not keys
    if whole := keys_of(sentence, options, by):
        return whole
    for match in _KEY.finditer(sentence):
        key = match["key"]
        named = _by_key(key, options) or _by_place(key, options)
        if named and not match["not"] and not _is_article(match, sentence):
            return named
    return _text_at_start(sentence, options) or _text_in(sentence, options)


def _mentioned(text: str, options: Options) -> frozenset[str]:
    """The key mentioned last, else the option whose text is mentioned last."""
    text = _strip_markup(text)
    for match in reversed([*_KEY.finditer(text)][-200:]):
        is_plain = not (match["open"] or match["close"])
        if match["not"] or _is_article(match, text) or (is_plain and match["key"].islower()):
            continue
        if is_plain and match["key"].isdigit():
            continue
        if named := _by_key(match["key"], options):
            return named
    return _text_in(text, options)


def _is_article(match: re.Match[str], text: str) -> bool:
    """Whether a lone letter is a word: "a cat", "A cat", "I think"."""
    if match["open"] or match["close"] or match["key"] not in ("a", "A", "I", "i"):
        return False
    return re.match(r" +[a-z]", text[match.end() : match.end() + 8]) is not None


def _is_denied(text: str, start: int) -> bool:
    return re.search(r"\b(?:not|n't|n’t)\b", text[max(0, start - 12) : start]) is not None


def _by_key(bare: str, options: Options) -> frozenset[str]:
    for spelt in (bare, bare.upper(), bare.lower()):
        if spelt in options:
            return _same(frozenset([spelt]), options)
    return frozenset()


def _by_place(bare: str, options: Options) -> frozenset[str]:
    """The option that a letter or digit counts, where the keys are of the other kind."""
    keys = list(options)
    if all(key.isdigit() for key in keys) and len(bare) == 1 and bare.upper() in _LETTERS:
        place = _LETTERS.index(bare.upper())
    elif all(key.isalpha() for key in keys) and bare.isascii() and bare.isdigit():
        place = int(bare[:3]) - 1
    else:
        return frozenset()
    return _same(frozenset(keys[place : place + 1]), options) if place >= 0 else frozenset()


def _by_text(bare: str, options: Options) -> frozenset[str]:
    if not bare:
        return frozenset()
    return frozenset(key for key, text in options.items() if _fold(text) == _fold(bare))


def _text_at_start(text: str, options: Options) -> frozenset[str]:
    """Options whose text a sentence begins with, the longest of them."""
    folded = f"{_fold(text)} "
    sizes = {
        key: len(w)
        for key, t in options.items()
        if (w := _fold(t)) and folded.startswith(f"{w} ")
    }
    return frozenset(key for key, size in sizes.items() if size == max(sizes.values()))


def _text_in(text: str, options: Options) -> frozenset[str]:
    """Options whose text is mentioned last; the longest of those that end there."""
    folded = f" {_fold(text)} "
    ends = {}
    for key, option in options.items():
        words = _fold(option)
        if words and (at := folded.rfind(f" {words} ")) >= 0:
            ends[key] = (at + len(words), len(words))
    last = max(ends.values(), default=None)
    return frozenset(key for key, end in ends.items() if end == last)


def _same(keys: frozenset[str], options: Options) -> frozenset[str]:
    """The keys with the same texts."""
    texts = {_fold(options[key]) for key in keys}
    return keys | {key for key, text in options.items() if _fold(text) in texts}


def _bare(text: str) -> str:
    text = _strip_markup(unwrap(text.strip()))
    text = re.sub(r"^(?:answer|option|choice)\b *:? *", "", text.strip(), flags=re.I) or text
    return text.strip(_EDGES)


def _strip_markup(text: str) -> str:
    text = re.sub(r"\\(?:text(?:bf)?|mathrm|mathbf) ?\{([^{}]{0,200})\}", r"\1", text)
    return re.sub(r"[*_`]{1,3}", "", text)


def _fold(text: str) -> str:
    return " ".join(_WORD.findall(spell(text).casefold()))


def _list(options: Options) -> str:
    return ", ".join(list(options)[:6]) + (", …" if len(options) > 6 else "")


def _show(keys: frozenset[str], options: Options) -> str:
    key = min(keys, key=list(options).index)
    return f"{key} ({options[key]})" if options[key] != key else key
