"""Tasks of one's own: rows and YAML files, what is read from them and what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.tasks import Task, get_task, grade_examples, question_of, verify_all
from mlx_t2.tasks.json_lines import LONGEST_LINE

SUMS = [{"prompt": f"{n} + {n}?", "answer": str(2 * n)} for n in range(60)]


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def mine(tmp_path):
    def make(rows=SUMS, name="mine.jsonl", **choices):
        return get_task(str(write(tmp_path / name, rows)), **choices)

    return make


@pytest.fixture
def said(tmp_path):
    def make(text, rows=SUMS):
        write(tmp_path / "rows.jsonl", rows)
        (tmp_path / "task.yaml").write_text(text, encoding="utf-8")
        return get_task(str(tmp_path / "task.yaml"))

    return make


def refused(path, match, error=TaskDataError):
    with pytest.raises(error, match=match) as caught:
        get_task(str(path))
    assert "\n" not in str(caught.value)


def test_rows_of_ones_own_are_a_task(mine, tmp_path):
    task = mine()
    assert isinstance(task, Task)
    assert (task.name, task.domain) == ("mine", "mine")
    assert task.file == str(tmp_path / "mine.jsonl")
    assert str(tmp_path) not in task.source
    problem = task.problems("test", 1)[0]
    n = int(question_of(problem)["content"].split()[0])
    assert problem.answer == str(2 * n)
    assert task.grade([(problem, f"It is {2 * n}."), (problem, "-1")])[0].is_right


def test_splits_share_no_question_and_stay_where_they_are_when_rows_are_added(mine):
    def ids(task):
        return {
            s: {p.id for p in task.problems(s, task.available(s, 999))} for s in task.splits
        }

    before = ids(mine(SUMS[:40]))
    after = ids(mine(SUMS))
    assert sum(map(len, after.values())) == 60
    for split, held in before.items():
        assert held <= after[split]


def test_a_question_asked_twice_is_in_one_split(mine):
    task = mine([*SUMS, *[{**row, "prompt": f" {row['prompt'].upper()}  "} for row in SUMS]])
    found = {}
    for split in task.splits:
        for problem in task.problems(split, task.available(split, 999)):
            found.setdefault(question_of(problem)["content"].strip(), set()).add(split)
    assert len(found) == 60
    assert all(len(splits) == 1 for splits in found.values())


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "{n}?", "completion": "even"},
        {"question": "{n}?", "answer": "even"},
        {
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "yes?"},
                {"role": "user", "content": "{n}?"},
                {"role": "assistant", "content": "even"},
            ]
        },
    ],
)
def test_rows_are_read_by_their_columns(mine, row):
    text = json.dumps(row)
    task = mine([json.loads(text.replace("{n}", str(n))) for n in range(60)])
    problem = task.problems("train", 1)[0]
    assert question_of(problem)["content"].endswith("?")
    assert problem.answer == "even"
    assert len(problem.messages) == (3 if "messages" in row else 1)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"prompt": "a", "question": "b", "answer": "c"}, "prompt and question, expected one"),
        ({"prompt": "a", "answer": "b", "completion": "c"}, "answer and completion, expected"),
        ({"prompt": "a", "messages": [], "answer": "b"}, "prompt and messages, expected one"),
        ({"messages": [], "answer": "b"}, "messages and answer, expected one of them"),
        ({"text": "a"}, "got columns text, expected .*answer"),
        ({"prompt": "a"}, "got columns prompt, expected answer or completion"),
    ],
)
def test_columns_that_could_mean_two_things_or_none_are_one_line(tmp_path, row, match):
    refused(write(tmp_path / "rows.jsonl", [row] * 30), match)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (b'{"prompt": "a"', r"line 61: not JSON"),
        (b"[1]", "line 61: got a list, expected an object"),
        (b"7", "line 61: got a number"),
        (b'{"prompt": "\xff", "answer": "1"}', "line 61: not UTF-8 at byte 13"),
        (b'{"prompt": "a"}', "line 61: lacks answer"),
        (b'{"prompt": 7, "answer": "1"}', "line 61: prompt: got a number, expected a text"),
        (b'{"prompt": "  ", "answer": "1"}', "line 61: prompt: empty"),
        (b'{"prompt": "a", "answer": true}', "line 61: answer: got true or false"),
        (b'{"prompt": "a", "answer": NaN}', "line 61: answer: got nan, expected a finite"),
        (b'{"prompt": "a", "answer": -Infinity}', "line 61: answer: got -inf, expected"),
        (b'{"prompt": "\\ud800", "answer": "1"}', "line 61: prompt: got half a character"),
        (b'{"prompt": "1 + 1?", "answer": "3"}', "line 61: got answer '3', but line 2 asks"),
        (
            b'{"prompt": "a", "answer": "' + b"1" * LONGEST_LINE + b'"}',
            "at most 1,000,000",
        ),
        (b"[" * 100_000, "line 61: not JSON"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, line, match):
    path = write(tmp_path / "rows.jsonl", SUMS)
    path.write_bytes(path.read_bytes() + line)
    refused(path, match)


def test_every_faulty_row_counts_and_the_first_three_are_told(tmp_path):
    path = write(tmp_path / "rows.jsonl", [*SUMS, *[{"prompt": "x"}] * 7])
    refused(path, r"line 61: .*; line 62: .*; line 63: [^;]*; and 4 more lines")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", b"", "no rows"),
        ("blank.jsonl", b"\n \r\n", "no rows"),
        ("packed.jsonl", b"\x1f\x8b\x08\x00", "packed or binary"),
        ("wide.jsonl", b"\xff\xfe{\x00", "UTF-16"),
        ("rows.csv/", b"", "ends in '.csv'"),
        ("wide-too.jsonl", b'{\0"\0p\0', "UTF-16"),
        ("list.jsonl", b' [{"prompt": "a", "answer": "b"}]', "got a JSON list, .*jq -c"),
        ("pretty.jsonl", b'{\r\n "prompt": "a"\n}', "object over several lines, .* per line"),
        ("few.jsonl", b'{"prompt": "a", "answer": "b"}\n' * 9, "got 1 different question, too"),
        ("other.jsonl", b'{"prompt": "a", "answer": "b"}\n', "got the name 'other'"),
        ("task.yaml", b"a: [", "cannot be read as YAML"),
        ("list.yaml", b"- a", "expected keys like data and grader"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, name, content, match):
    path = tmp_path / name.rstrip("/")
    if content is not None:
        path.write_bytes(content)
    refused(path, match)


def test_a_folder_is_no_task(tmp_path):
    (tmp_path / "rows.jsonl").mkdir()
    refused(tmp_path / "rows.jsonl", "a folder, expected a file")


def test_the_ending_may_be_in_capitals(tmp_path):
    rows = write(tmp_path / "MINE.JSONL", SUMS)
    assert get_task(str(rows)).available("train", 999) > 30
    (tmp_path / "MINE.YML").write_text("data: MINE.JSONL")
    assert get_task(str(tmp_path / "MINE.YML")).name == "MINE"


def test_byte_order_marks_and_windows_line_ends_are_read(tmp_path):
    path = write(tmp_path / "rows.jsonl", SUMS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert get_task(str(path)).available("train", 999) > 30


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_task_or_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_bytes(data)
    with pytest.raises(TaskDataError):
        get_task(str(path))


def test_the_grader_is_guessed_and_said(mine):
    assert "grader number, guessed from the answers" in mine().source
    words = [{"prompt": f"{n}?", "answer": "even" if n % 2 == 0 else "odd"} for n in range(60)]
    task = mine(words)
    assert "grader exact, guessed" in task.source
    assert {p.kind for p in task.step(8, 0)} == {"even", "odd"}
    assert "guessed" not in mine(words, grader="contains").source


def test_options_are_scored_unless_a_letter_is_asked_for(mine):
    rows = [
        {"prompt": f"Pick {n}", "options": [f"red {n}", "blue"], "answer": "AB"[n % 2]}
        for n in range(60)
    ]
    scored = mine(rows).problems("train", 1)[0]
    assert scored.answer in scored.options
    letter = mine(rows, grader="choice").problems("train", 1)[0]
    assert letter.options == ()
    assert question_of(letter)["content"].endswith("\nB. blue")
    rows[3]["answer"] = "C"
    with pytest.raises(TaskDataError, match="line 4: got answer 'C', expected an option"):
        mine(rows)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ([str(k) for k in range(27)], "options: got 27, expected 2 to 26 texts"),
        (["a", "a"], "options: got 2 of one text, expected two at least"),
        (["a"], "options: got 1, expected 2 to 26 texts"),
    ],
)
def test_options_that_leave_no_choice_are_named(mine, options, fault):
    with pytest.raises(TaskDataError, match=f"line 1: {fault}"):
        mine([{"prompt": f"{n}?", "options": options, "answer": "a"} for n in range(60)])


def test_a_choice_without_options_is_one_of_letters(mine):
    with pytest.raises(TaskDataError, match="'tool', expected a letter: it has no opt"):
        mine([{"prompt": f"{n}?", "answer": "tool"} for n in range(60)], grader="choice")


@pytest.mark.parametrize(
    ("turn", "fault"),
    [
        ({"role": "developer", "content": "x"}, "got 'developer', expected turns with a role"),
        (
            {"role": "user", "content": [{"type": "text"}]},
            "got a list, expected a text as cont",
        ),
        ({"role": "assistant", "content": None, "tool_calls": []}, "got null, expected a text"),
        ("hello", "got a text, expected turns with a role"),
    ],
)
def test_turns_of_other_programs_are_named(mine, turn, fault):
    last = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    with pytest.raises(TaskDataError, match=f"line 1: messages: {fault}"):
        mine([{"messages": [turn, *last]}] * 60)


def test_an_answer_that_nothing_can_equal_is_named(mine):
    rows = [*SUMS, {"prompt": "x?", "answer": "many"}]
    with pytest.raises(TaskDataError, match=r"line 61: .*'many'.*a number"):
        mine(rows, grader="number")


def test_a_yaml_file_says_how_to_ask(said):
    task = said(
        "data: rows.jsonl\nname: sums\ndescription: small sums\ntemplate: 'Add: {prompt}'\n"
        "answer: answer\nsystem: Be brief.\nexamples: [{prompt: '1 + 0?', answer: 1}]\n"
        "grader: {name: number, form: alone}\nmax_tokens: 9\nlimits: {test: 3}\n"
        "splits: {train: 0.5, validation: 0.25, test: 0.25}\n"
    )
    assert (task.name, task.description, task.max_tokens) == ("sums", "small sums", 9)
    assert task.available("test", 99) == 3
    problem = task.problems("test", 1)[0]
    roles = [turn["role"] for turn in problem.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert question_of(problem)["content"].startswith("Add: ")
    assert task.prompt == problem.messages[:-1]


def test_a_file_for_each_split_keeps_them_and_drops_what_they_share(said, tmp_path):
    write(tmp_path / "a.jsonl", SUMS[:40])
    write(tmp_path / "b.jsonl", SUMS[35:50])
    write(tmp_path / "c.jsonl", SUMS[45:])
    task = said("splits: {train: a.jsonl, validation: b.jsonl, test: c.jsonl}\n")
    assert [task.available(s, 99) for s in task.splits] == [35, 10, 15]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("dta: rows.jsonl", "unknown key 'dta'; did you mean data"),
        ("grader: number", "lacks data"),
        ("data: rows.jsonl\nmax_tokens: many", "max_tokens: got 'many'.*, expected a whole"),
        ("data: rows.jsonl\nsplits: {train: 0.9, validation: 0.2, test: 0.1}", "sum to 1"),
        ("data: rows.jsonl\nsplits: {train: 1}", "train, validation and test"),
        ("data: rows.jsonl\ngrader: exact\nreward: a.py:f", "grader and reward, expected one"),
        ("data: rows.jsonl\ntemplate: '{promt}'", r"template: got \{promt\}, the rows have"),
        ("data: rows.jsonl\ntemplate: 'x {'", "template: .*written twice"),
        ("data: rows.jsonl\ntemplate: 'x'", "template: got no column"),
        ("data: rows.jsonl\ntemplate: '{prompt:999999999}'", r"template: got \{prompt:9"),
        ("data: rows.jsonl\ntemplate: '{prompt.__class__}'", r"template: got \{prompt\.__"),
        (
            "splits: {train: rows.jsonl, validation: ./rows.jsonl, test: b.jsonl}",
            "splits: got .*expected another file for each split",
        ),
        ("data: rows.jsonl\nanswer: result", "answer: got column 'result'"),
        ("data: none.jsonl", "none.jsonl: no such file"),
        ("data: rows.jsonl\nexamples: [1]", "examples: got .*expected a list of examples"),
    ],
)
def test_what_a_yaml_file_has_wrong_is_one_line(said, text, match):
    with pytest.raises(TaskDataError, match=match) as caught:
        said(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", ["gsm8k", "mine"])
def test_an_empty_name_is_no_grader_and_no_reward(mine, tmp_path, task):
    mine()
    name = str(tmp_path / "mine.jsonl") if task == "mine" else task
    with pytest.raises(ConfigError, match="grader: got ''"):
        get_task(name, grader="")
    with pytest.raises(ConfigError, match="reward: got ''"):
        get_task(name, reward="")


@pytest.mark.parametrize("settings", ["graders", "{name: number, digits: 3}"])
def test_an_unknown_grader_or_setting_is_refused(said, settings):
    with pytest.raises(ConfigError, match="grader"):
        said(f"data: rows.jsonl\ngrader: {settings}\n")


REWARDS = """
WORST_REWARD = -1
from mlx_t2.grading import Grade
def by_row(prompt, completion, row):
    return completion == row["answer"] and prompt == row["prompt"]
def number(prompt, completion, row): return 0.5
def grade(prompt, completion, row): return Grade(-1, False, "no")
def raises(prompt, completion, row): return 1 / 0
def leaves(prompt, completion, row): raise SystemExit
def words(prompt, completion, row): return "high"
def nan(prompt, completion, row): return float("nan")
def low(prompt, completion, row): return -2
"""


@pytest.fixture
def rewards(tmp_path):
    (tmp_path / "rewards.py").write_text(REWARDS, encoding="utf-8")
    return lambda name: f"{tmp_path}/rewards.py:{name}"


def test_a_function_of_ones_own_is_the_reward(mine, rewards):
    task = mine(reward=rewards("by_row"))
    problem = task.problems("train", 1)[0]
    grades = task.grade([(problem, problem.answer), (problem, "x")])
    assert [g.is_right for g in grades] == [True, False]
    assert "by_row() of rewards.py" in task.rule
    (half,) = mine(reward=rewards("number")).grade([(problem_of(mine, rewards), "x")])
    assert (half.reward, half.is_right) == (0.5, False)


def problem_of(mine, rewards):
    return mine(reward=rewards("number")).problems("train", 1)[0]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("raises", r"rewards.py:raises: mine.jsonl, line \d+: raised ZeroDivisionError"),
        ("leaves", r"rewards.py:leaves: mine.jsonl, line \d+: raised SystemExit"),
        (
            "words",
            r"line \d+: got 'high' \(str\) for completion 'x' .*expected a finite",
        ),
        ("nan", "got nan .*, expected a finite number"),
        ("low", "got -2, expected -1 or more"),
    ],
)
def test_a_reward_that_fails_is_one_line_with_function_and_row(mine, rewards, name, match):
    task = mine(reward=rewards(name))
    with pytest.raises(TaskDataError, match=match) as caught:
        task.grade([(task.problems("train", 1)[0], "x")])
    assert "\n" not in str(caught.value)


def test_a_reward_may_print_change_the_row_and_import_what_is_beside_it(mine, tmp_path, capsys):
    (tmp_path / "helper_beside.py").write_text("ONE = 1.0\n")
    (tmp_path / "talks.py").write_text(
        "import helper_beside\nprint('loaded')\n"
        "def pops(prompt, completion, row):\n"
        "    print('called')\n"
        "    return helper_beside.ONE * (row.pop('answer') == completion)\n"
    )
    task = mine(reward=f"{tmp_path}/talks.py:pops")
    problem = task.problems("train", 1)[0]
    asked = [(problem, problem.answer)] * 2
    assert [grade.reward for grade in task.grade(asked)] == [1, 1]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "loaded\ncalled\ncalled\n")


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("def f(): return 1", r"got f\(\) \(.*\), expected f\(prompt, completion, row\)"),
        ("def f(completions, **rest): return [1]", r"got f\(completions, \*\*rest\) \("),
        ("def f(a, b, c, d): return 1", r"missing a required argument: 'd'"),
        ("class f: pass", r"expected f\(prompt, completion, row\)"),
        ("async def f(a, b, c): return 1", r"f\(\) awaits or yields, expected one that ret"),
        ("def f(a, b, c): yield 1", r"f\(\) awaits or yields"),
    ],
)
def test_a_function_that_is_no_reward_is_known_before_it_is_asked(mine, tmp_path, code, match):
    (tmp_path / "wrong.py").write_text(code)
    with pytest.raises(ConfigError, match=match) as caught:
        mine(reward=f"{tmp_path}/wrong.py:f")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reward", "match"),
    [
        ("", "got '', expected file.py:function"),
        ("rewards.py", "expected file.py:function"),
        ("none.py:f", "no such file"),
        ("{}:absent", "got no function 'absent'"),
    ],
)
def test_a_reward_that_is_not_there_is_refused(mine, rewards, reward, match):
    with pytest.raises(ConfigError, match=match):
        mine(reward=reward.format(rewards("x")[:-2]))


def test_rows_without_answers_need_a_reward(mine, rewards):
    rows = [{"prompt": f"say {n}"} for n in range(60)]
    task = mine(rows, reward=rewards("number"))
    assert [e.what for e in grade_examples(task)] == ["a wrong answer"]


def test_patterns_are_answers_but_no_completions(mine):
    rows = [{"prompt": f"{n}?", "answer": rf"\b{n}\b"} for n in range(60)]
    task = mine(rows, grader="regex")
    assert [e.what for e in grade_examples(task)] == ["a wrong answer"]
    problem = task.problems("train", 1)[0]
    n = question_of(problem)["content"][:-1]
    right, bad = task.grade([(problem, f"It is {n}."), (problem, "x")])
    assert right.is_right
    assert not bad.is_right


def test_rows_with_tests_are_code(mine):
    rows = [
        {
            "prompt": f"Write f, which adds {n}.",
            "answer": f"def f(x): return x + {n}",
            "tests": [f"assert f(1) == {1 + n}"],
        }
        for n in range(60)
    ]
    task = mine(rows)
    assert "grader code, guessed" in task.source
    rows[5]["tests"] = 7
    with pytest.raises(TaskDataError, match=r"line 6: .*tests"):
        mine(rows, grader="code")


def test_what_is_asked_is_part_of_the_source(mine):
    changed = [{**row, "answer": str(int(row["answer"]) + 1)} for row in SUMS]
    assert mine().source == mine().source != mine(changed).source


def test_right_answers_are_graded_right_and_others_wrong(mine):
    task = mine()
    right, other, wrong = grade_examples(task)
    assert right.grade.is_right
    assert not other.grade.is_right
    assert not wrong.grade.is_right
    assert (verify_all(task).n, verify_all(task).faults) == (60, [])
