r"""The exact value of a number as people and models write it, as a fraction, never a float.

Read: signs (`−` included), thousands (`1,234`, `1 234`, `5\,000`, `5{,}000`), decimals (`.5`,
`5.`), `1e6`, `3 \times 10^5`, `12/1`, `1 1/2`, `½`, `\frac12`, `3\frac{1}{2}`, full-width
digits, currency before and after, ordinals, units and words after the number, `x = 5`.

Policies, one each: a percent sign is a unit (`10%` is 10, not 0.1); so are `dozen`, `dollars`
and the like, and units are not compared; `thousand`, `million`, `billion` multiply; `12 dollars
and 50 cents` is 12.5; words (`twelve`, `forty-two`, `half`) count only where they are the whole
text. Not numbers: `1,23`, `1.5.2`, `--5`, `5x`, `10:30`, `1/0`, nor what has over 400 digits.

Does not know where in a completion the answer is.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple
from unicodedata import normalize

_DIGITS = 400
"""Longest number read, and largest power of ten [digits]: beyond that no answer is meant."""

_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_CHARACTERS = str.maketrans(
    {
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **dict(zip("，．＋－／％＄（）＝：", ",.+-/%$()=:", strict=True)),
        **dict.fromkeys("−‒–﹣⁻", "-"),
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2005\u3000\t", " "),
        **dict.fromkeys("\u200b\u2060\ufeff\u2066\u2069*`", ""),
        "⁄": "/",
        "×": "\\times ",
        **{half: f" {normalize('NFKC', half).replace('⁄', '/')}" for half in _VULGAR},
    }
)
"""One spelling of each character that numbers are written with."""

_SPELLINGS = [
    (re.compile(pattern), instead)
    for pattern, instead in [
        (r"\\!", ""),
        (r"\{,\}", ","),
        (r"\\[,;: ]|~|\\q?quad\b", " "),
        (r"\\(?:left|right)\b", ""),
        (r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it)|mbox) ?\{([^{}]{0,200})\}", r" \1 "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\^ ?(?:\\circ|\{ ?\\circ ?\})|°", " degrees"),
        (r"\\([%$#])", r"\1"),
        (r"(?<![0-9])[$€£¥] ?(?=[-+.0-9\\])", ""),
        (r"[$€£¥]", " "),
        (r"\b([0-9][0-9,]{0,20}) dollars? and ([0-9]) cents?\b", r"\1.0\2 dollars"),
        (r"\b([0-9][0-9,]{0,20}) dollars? and ([0-9]{2}) cents?\b", r"\1.\2 dollars"),
        (r"(^|[=:≈(\[{,]) ?([-+]) ?(?=[0-9.\\])", r"\1\2"),
        (r" +", " "),
    ]
]
"""(pattern, replacement): LaTeX, currency and spaces out of the way; each takes linear time."""

_PLAIN = (
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})++|[1-9][0-9]{0,2}(?: [0-9]{3})++|[0-9]++)(?![0-9])"
    r"(?:\.[0-9]*+)?|\.[0-9]++)"
)
_UNIT = (
    r"(?:st|nd|rd|th|[kcm]?m|km/h|k?g|mg|lbs?|oz|m?l|L|s|secs?|ms|h|hrs?|mins?|ft|in|mph|am|pm|"
    r"USD|EUR)"
)
"""Units that may follow without a space; any other letter makes an expression of it."""
_BEFORE = (
    r"(?<![\w.\\^])(?<![\^_]\{)(?<!sqrt[{(])(?<![0-9][,:])(?<![-+][-+])"
    r"(?:(?<![\w)\]}.+-])(?P<sign>[-+]))?(?<![\w\\])"
)
"""No part of a longer number, of an exponent, index or root; a sign that is no operation."""
_FRACTION = (
    rf"(?:(?P<whole>[0-9]++)[ -]?)?\\frac ?(?:\{{ ?(?P<top>-?{_PLAIN}) ?\}}|(?P<t>[0-9])) ?"
    rf"(?:\{{ ?(?P<low>-?{_PLAIN}) ?\}}|(?P<l>[0-9]))"
)
_MIXED = r"(?P<mixed>[0-9]++)[ -](?P<up>[0-9]++)/(?P<down>[0-9]++)(?![0-9])"
_POWER = (
    r"[eE](?P<e>[-+]?[0-9]{1,4})(?![0-9])"
    r"| ?(?:\\times|\\cdot|\*|x) ?10 ?\^ ?(?:\{ ?(?P<p>[-+]?[0-9]{1,4}) ?\}|(?P<q>[0-9]{1,4}+))"
)
_NEXT = (
    r"(?![,:]?[0-9]|\.[0-9]| ?[\^_²³]| ?!(?![ \n]|$)| ?/ ?[0-9(]"
    r"| ?\\(?:sqrt|pi|frac|pm)\b|[{(\\])"
)
"""Not where the text goes on as a longer number or an expression."""
_NUMBER = re.compile(
    rf"{_BEFORE}(?:{_FRACTION}|{_MIXED}"
    rf"|(?P<plain>{_PLAIN})(?:{_POWER}|(?: ?/ ?(?P<over>{_PLAIN})))?)"
    rf"(?: (?P<scale>thousand|million|billion|trillion)\b)?"
    rf"{_NEXT}(?:{_UNIT}(?![A-Za-z0-9]))?(?![A-Za-z_])"
)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_AROUND = re.compile(
    r"^[\s(\[\"'“]*(?:[A-Za-z]\w{0,15} ?(?:=|≈)|=|≈|\\approx\b"
    r"|(?:approximately|about|exactly|only|USD)\b)?[\s(\[\"'“]*"
)
_AFTER = re.compile(
    r"[ ,]*(?:%|percent\b)?[\s)\]\"'”.,;:!]*"
    r"(?:[A-Za-z][A-Za-z'’/.-]*(?: ?\^ ?\{?[23]\}?|[23²³])?[\s)\].,;:!²³]*){0,8}"
)
"""What may follow a number that is the whole text: up to eight words, the first a unit."""
_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = _TO_NINETEEN.split()
_WORDS = {
    **{word: Fraction(value) for value, word in enumerate(_SMALL)},
    **{word: Fraction(10 * value) for value, word in enumerate(_TENS.split(), 2)},
    **{
        f"{tens}{hyphen}{_SMALL[unit]}": Fraction(10 * value + unit)
        for value, tens in enumerate(_TENS.split(), 2)
        for unit in range(1, 10)
        for hyphen in "- "
    },
    **dict.fromkeys(["one hundred", "a hundred"], Fraction(100)),
    **dict.fromkeys(["half", "a half", "one half"], Fraction(1, 2)),
}


class Number(NamedTuple):
    """An exact value, and how it was printed."""

    value: Fraction
    places: int | None
    """Digits after the decimal point; None where it was not printed as a decimal."""
    digits: int
    """Significant digits that were printed."""

    def __str__(self) -> str:
        return show_fraction(self.value)


class Found(NamedTuple):
    """A number and where in the spelt text it is."""

    number: Number
    start: int
    end: int


def spell(text: str) -> str:
    r"""The text in one spelling of minus, spaces, thousands, currency and fractions.

    >>> spell("−\\$5{,}000")
    '-5,000'
    """
    text = text.translate(_CHARACTERS)
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return text


def parse_number(text: str) -> Number | None:
    r"""The number that the whole text is, units and words after it aside.

    >>> [str(parse_number(t)) for t in ("$1,234.50", "-\\frac12", "18 eggs", "5x", "1,23")]
    ['1234.5', '-0.5', '18', 'None', 'None']
    """
    if len(text) > 2 * _DIGITS:
        return None
    text = spell(text).strip()
    around = _AROUND.match(text)
    start = around.end() if around else 0
    if match := _NUMBER.match(text, start):
        is_whole = _AFTER.fullmatch(text, match.end()) is not None
        return _value(match) if is_whole else None
    word = " ".join(text[start:].lower().split()).strip(".!,\"'")
    return Number(_WORDS[word], None, 0) if word in _WORDS else None


def find_numbers(spelt: str) -> Iterator[Found]:
    """Every number in a text that `spell` has spelt, in order."""
    for match in _NUMBER.finditer(spelt):
        if number := _value(match):
            yield Found(number, *match.span())


def is_same_number(got: Number, expected: Number) -> bool:
    """Whether the values are equal, exactly."""
    return got.value == expected.value


def is_rounded(got: Number, expected: Fraction) -> bool:
    """Whether a decimal of three digits or more is the rounding of a fraction without end:
    within one thousandth, and by less than one unit of the last digit printed.

    >>> is_rounded(parse_number("0.333333"), Fraction(1, 3)), is_rounded(parse_number("0.33"),
    ...     Fraction(1, 3))
    (True, False)
    """
    return not _terminates(expected) and is_near(got, expected)


def is_near(got: Number, expected: Fraction) -> bool:
    """Whether the digits printed, three or more, are those of the expected value."""
    if not got.places or got.digits < 3:
        return False
    gap = abs(got.value - expected)
    return gap < Fraction(1, 10**got.places) and 1000 * gap <= abs(expected)


def show_fraction(value: Fraction) -> str:
    """A fraction as a decimal where that has few digits, else as n/d.

    >>> show_fraction(Fraction(25, 2)), show_fraction(Fraction(1, 3))
    ('12.5', '1/3')
    """
    if value.denominator == 1 or value.denominator > 10**6 or not _terminates(value):
        return str(value)
    scaled = value
    places = 0
    while scaled.denominator != 1:
        scaled, places = scaled * 10, places + 1
    digits = str(abs(scaled.numerator)).zfill(places + 1)
    return f"{'-' * (value < 0)}{digits[:-places]}.{digits[-places:]}"


def _terminates(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _value(match: re.Match[str]) -> Number | None:
    """The value of a match; None where it is too long or divides by zero."""
    if match.end() - match.start() > _DIGITS:
        return None
    got = match.groupdict()
    places, digits = None, 0
    if (top := got["top"] or got["t"]) is not None:
        value = _divide(_plain(top), _plain(got["low"] or got["l"]))
        whole = Fraction(got["whole"] or 0)
        value = None if value is None else whole + value
    elif got["mixed"] is not None:
        part = _divide(Fraction(got["up"]), Fraction(got["down"]))
        value = None if part is None else Fraction(got["mixed"]) + part
    else:
        plain = got["plain"].rstrip(".")
        value, exponent = _plain(plain), int(got["e"] or got["p"] or got["q"] or 0)
        if abs(exponent) > _DIGITS:
            return None
        value *= Fraction(10) ** exponent
        if got["over"] is not None:
            value = _divide(value, _plain(got["over"]))
        elif not exponent:
            places = len(plain.partition(".")[2])
            digits = len(re.sub("[^0-9]", "", plain).lstrip("0"))
    if value is None:
        return None
    sign = -1 if got["sign"] == "-" else 1
    return Number(sign * value * _SCALES.get(got["scale"], 1), places, digits)


def _plain(text: str) -> Fraction:
    digits = re.sub("[, ]", "", text).rstrip(".")
    return Fraction(digits if digits[-1:].isdigit() else "0")


def _divide(top: Fraction, low: Fraction) -> Fraction | None:
    return top / low if low else None
