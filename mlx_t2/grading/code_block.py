"""The program in a completion: which part of a chat answer is code.

Looked at in turn: fenced blocks (``` or ~~~, with or without a language, closed or not), the
text between [BEGIN] and [DONE], the text in front of the first fence (the prompt may have
opened it), and the same from its first line of code on. **The first of these that parses and
defines the entry point is the program**, behind the imports and definitions of the blocks
before it. The first, since what follows an answer is examples, repetition or another answer,
and only one answer counts. Text after a program that is not code is cut away.

Where the prompt is the beginning of a program (HumanEval), a text without the function is its
body, however it is indented; one with the function replaces the prompt's.

Runs nothing. Total: any text, in linear time; what is longer than any answer is not looked at.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from textwrap import dedent, indent

_LONGEST = 8_000
"""Longest text that is parsed as a program [characters]."""
_BUDGET = 24_000
"""All that is parsed for one completion [characters]: a parser reads 1 MB in seconds."""
_LONGEST_COMPLETION = 32_000
"""What is looked through, from the start [characters]."""
_MOST_BLOCKS = 16
_MOST_CUTS = 4

_FENCE_IN_LINE = re.compile(r"(?<=[^\s`'\"])[ \t]{0,9}(?=```)")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)")
_LANGUAGE = re.compile(r"(?i:python\d*|py\d*)\b|[\w+#.-]+$")
_ATTRIBUTES = re.compile(r"\{.*\}$|\w+=\S+$")
_CODE_LINE = re.compile(r"^(?:(?:def|class|async def|import|from) |@\w)", re.MULTILINE)
_INDENTED_LINE = re.compile(r"^[ \t]+\S", re.MULTILINE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_RESULT = re.compile(r"\b(?:return|yield)\b")


@dataclass(frozen=True)
class CodeBlock:
    """The program of a completion, or why there is none."""

    source: str
    """Empty where there is none."""
    is_plain: bool = False
    """It is the whole text, or a whole closed block: nothing was cut, indented or joined."""
    fault: str = ""
    """Why there is none: "no program found", "SyntaxError line 3"."""


def find_program(completion: str, entry_point: str, prompt: str = "") -> CodeBlock:
    """The program that answers, see above.

    entry_point: the function, class or variable that it has to define.
    prompt: the program that it goes on with, which ends in the head of the entry point.

    >>> find_program("Sure:\\n```python\\ndef f(x): return x\\n```\\nIt works.", "f").source
    'def f(x): return x\\n'
    """
    text = completion[:_LONGEST_COMPLETION].replace("\r\n", "\n").replace("\r", "\n")
    before, blocks = _split_at_fences(_FENCE_IN_LINE.sub("\n", text))
    reader = _Reader(entry_point, prompt.replace("\r\n", "\n"))
    helpers = ""
    for block, is_closed in blocks[:_MOST_BLOCKS]:
        if found := reader.read(block):
            source, is_whole = found
            return CodeBlock(helpers + source, is_closed and is_whole and not helpers)
        helpers += reader.read_helpers(block)
    for part in _unfenced(text, before):
        if found := reader.read(part):
            source, is_whole = found
            return CodeBlock(source, is_whole and part is before and not blocks)
    return CodeBlock("", fault=reader.fault or "no program found")


def _unfenced(text: str, before: str) -> Iterator[str]:
    """Texts outside fences that may be the program."""
    if "[BEGIN]" in text or "[DONE]" in text:
        yield (text.partition("[BEGIN]")[2] or text).partition("[DONE]")[0]
    yield before
    for start in (_CODE_LINE.search(before), _INDENTED_LINE.search(before)):
        if start:
            yield before[start.start() :]


def _split_at_fences(text: str) -> tuple[str, list[tuple[str, bool]]]:
    """The text in front of the first fence, and (text, whether it is closed) of each block. A
    fence with a word after it opens a block, even within one that nothing closed.
    """
    before, blocks = list[str](), list[tuple[str, bool]]()
    lines, mark = before, ""
    for line in StringIO(text):
        fence = _FENCE.match(line)
        info = fence[2].strip() if fence else ""
        if fence and mark and fence[1].startswith(mark) and not info:
            blocks[-1] = (dedent("".join(lines)), True)
            lines, mark = [], ""
        elif fence and (not mark or (info and fence[1][0] == mark[0])):
            if mark:
                blocks[-1] = (dedent("".join(lines)), False)
            blocks.append(("", False))
            mark, lines = fence[1], [code + "\n"] if (code := _code_after(info)) else []
        else:
            lines.append(line)
    if mark:
        blocks[-1] = (dedent("".join(lines)), False)
    return "".join(before), blocks


def _code_after(info: str) -> str:
    """What is on the line of an opening fence beside the name of a language.

    >>> _code_after("python"), _code_after("def f(): return 1")
    ('', 'def f(): return 1')
    """
    language = _LANGUAGE.match(info)
    rest = info[language.end() :].strip() if language else info
    return "" if _ATTRIBUTES.match(rest) else rest


class _Reader:
    """Reads texts as programs until one completion's budget is spent."""

    def __init__(self, entry_point: str, prompt: str):
        self.fault = ""
        self._left = _BUDGET
        self._entry_point = entry_point
        self._prompt = prompt
        name = re.escape(entry_point)
        self._defines = re.compile(
            rf"^[ \t]*(?:(?:async )?def|class)[ \t]+{name}\b|^[ \t]*{name}[ \t]*[=:]",
            re.MULTILINE,
        )
        head = self._defines.search(prompt)
        self._preamble = prompt[: head.start()] if head else prompt

    def read(self, text: str) -> tuple[str, bool] | None:
        """The text as a program and whether all of it is; None where it is not one."""
        if self._defines.search(text):
            return self._read_longest(self._preamble, dedent(text), is_body=False)
        if self._prompt and _RESULT.search(text):
            bodies = (text, "    " + text.lstrip(), indent(dedent(text), "    "))
            for body in bodies[0 if text[:1].isspace() else 1 :]:
                if found := self._read_longest(self._prompt, body, is_body=True):
                    return found[0], found[1] and body is text
        return None

    def read_helpers(self, text: str) -> str:
        """The imports and definitions of a text that is a program without the entry point."""
        try:
            body = self._parse(text).body
        except SyntaxError:
            return ""
        lines, kept = list(StringIO(text + "\n")), list[str]()
        for node in body:
            if isinstance(node, (ast.Import, ast.ImportFrom, *_DEFINITIONS)):
                first = min(part.lineno for part in [node, *_decorators(node)])
                kept += lines[first - 1 : node.end_lineno]
        return "".join(kept)

    def _read_longest(self, head: str, text: str, is_body: bool) -> tuple[str, bool] | None:
        """The head and as much of the text as parses: cut where a statement begins that does
        not.
        """
        lines, skipped = list(StringIO(text[:_LONGEST])), head.count("\n")
        for _ in range(_MOST_CUTS):
            source = head + "".join(lines)
            try:
                tree = self._parse(source)
            except SyntaxError as error:
                at = max((error.lineno or 1) - skipped, 1)
                if not is_body and not self.fault:
                    place = f" line {at}" if error.lineno else f": {error.msg}"
                    self.fault = f"SyntaxError{place}"
                lines = lines[: _statement_start(lines, at)]
            else:
                if not self._answers(tree, is_body):
                    return None
                mended = _without_bare_names(source, tree)
                return mended, mended == head + text
        return None

    def _answers(self, tree: ast.Module, is_body: bool) -> bool:
        """Whether the program defines the entry point; a body has to have a result."""
        ends = (ast.Return, ast.Yield, ast.YieldFrom)
        return any(
            not is_body or any(isinstance(part, ends) for part in ast.walk(node))
            for node in tree.body
            if self._entry_point in _names_bound(node)
        )

    def _parse(self, source: str) -> ast.Module:
        """Raises: SyntaxError for whatever does not parse, or is too much."""
        self._left -= len(source)
        if self._left < 0:
            raise SyntaxError("longer than an answer may be")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(source)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from error
        if stray := _find_stray_return(tree.body):
            raise SyntaxError("'return' outside function", ("", stray.lineno, 0, ""))
        return tree


def _find_stray_return(body: list[ast.stmt]) -> ast.Return | None:
    """A return outside all functions, which the parser lets pass."""
    nodes: list[ast.AST] = list(body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Return):
            return node
        if not isinstance(node, (*_DEFINITIONS, ast.expr)):
            nodes += ast.iter_child_nodes(node)
    return None


def _decorators(node: ast.stmt) -> list[ast.expr]:
    return node.decorator_list if isinstance(node, _DEFINITIONS) else []


def _names_bound(node: ast.stmt) -> set[str]:
    """Names that a statement defines or assigns."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    parts = ast.walk(node)
    return {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}


def _statement_start(lines: list[str], at: int) -> int:
    """Index of the last line, up to line number `at`, that is indented as little as the first:
    a statement begins there.
    """
    first = next((line for line in lines if line.strip()), "")
    for i in reversed(range(min(at, len(lines)))):
        if lines[i].strip() and _indentation(lines[i]) <= _indentation(first):
            return i
    return 0


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _without_bare_names(source: str, tree: ast.Module) -> str:
    """The program with `pass` for statements that are a bare name or annotation: prose that
    happens to parse ("Done", "Note: fine"), and does nothing but raise.
    """
    lines = list(StringIO(source))
    for node in reversed(tree.body):
        is_idle = isinstance(node, ast.Expr) and isinstance(node.value, ast.Name)
        is_idle = is_idle or (isinstance(node, ast.AnnAssign) and node.value is None)
        if is_idle and node.end_lineno == node.lineno:
            line = lines[node.lineno - 1].encode()
            kept = line[: node.col_offset] + b"pass" + line[node.end_col_offset :]
            lines[node.lineno - 1] = kept.decode()
    return "".join(lines)
