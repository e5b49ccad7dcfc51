"""The three generated domains: splits, balance, prompts, and what cannot score."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_task import StartHigh

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import RIGHT, wrong
from mlx_t2.tasks import SPLITS, get_task, question_of, registry, shared_prompt, task_names
from mlx_t2.tasks.generated import generated_tasks
from mlx_t2.tasks.generated.domain import split_of
from mlx_t2.tasks.generated.kind import nouns_of
from mlx_t2.tasks.generated.largest import _triples
from mlx_t2.tasks.generated.words import LISTS, NOUNS, NUMBERS, STRINGS

DOMAINS = ("largest", "expression", "kind")
GENERATED = sorted(generated_tasks())
CHANCE = {"largest": 1 / 3, "expression": 1 / 20, "kind": 1 / 7}


def words(problem):
    return question_of(problem)["content"].split()


def score(task, problems, completion):
    grades = task.grade([(p, completion(p)) for p in problems])
    return sum(grade.is_right for grade in grades) / len(problems)


def test_every_domain_is_asked_behind_five_choices_of_prompts():
    endings = ("", "-shared", "-bare", "-both", "-curriculum")
    assert set(GENERATED) == {f"{domain}{ending}" for domain in DOMAINS for ending in endings}
    assert set(GENERATED) <= set(task_names())
    assert all(get_task(name).name == name for name in task_names())


def test_a_task_is_made_when_it_is_first_asked_for(monkeypatch):
    made = []
    monkeypatch.setitem(registry._MAKERS, "toy", lambda: made.append(0) or StartHigh())
    assert "toy" in task_names()
    assert made == []
    assert get_task("toy").name == "start-high"
    assert made == [0]


@pytest.mark.parametrize(
    ("old", "new"), [("code", "expression"), ("mathematics-both", "largest-both")]
)
def test_an_old_name_is_answered_with_the_new_one(old, new):
    with pytest.raises(TaskDataError, match=f"task: '{old}' is now called '{new}'$"):
        get_task(old)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(TaskDataError, match=r"task: unknown name 'maths', known are .*kind"):
        get_task("maths")


def test_an_unknown_split_is_refused():
    with pytest.raises(TaskDataError, match=r"expression: unknown split 'dev', expected one"):
        get_task("expression").problems("dev", 1)


def test_more_problems_than_there_are_is_refused():
    with pytest.raises(TaskDataError, match=r"got 99999 .* \d{4} of the test split$"):
        get_task("expression").problems("test", 99_999)


@pytest.mark.parametrize("name", DOMAINS)
def test_splits_have_a_thousand_questions_each_and_share_none(name):
    task = get_task(name)
    ids = {split: {p.id for p in task.problems(split, 1000)} for split in SPLITS}
    assert all(len(found) == 1000 for found in ids.values())
    assert len(set.union(*ids.values())) == 3000


def test_expression_has_six_thousand_questions():
    sizes = [3500, 1000, 1500]
    for split, n in zip(SPLITS, sizes, strict=True):
        assert len({p.id for p in get_task("expression").problems(split, n)}) == n


def test_the_same_three_numbers_are_in_one_split_in_every_order():
    sets = {
        split: {frozenset(p.id.split("/")[1].split("-")) for p in problems}
        for split, problems in drawn("largest", 3000).items()
    }
    train = {frozenset(map(str, triple)) for triple in _triples()["train"]}
    assert sets["train"] <= train
    assert not train & (sets["validation"] | sets["test"])
    assert not sets["validation"] & sets["test"]


def drawn(name, n):
    return {split: get_task(name).problems(split, n) for split in SPLITS}


def test_test_nouns_are_new_and_many():
    nouns = {split: {n for kind in NOUNS for n in nouns_of(split, kind)} for split in SPLITS}
    for split, problems in drawn("kind", 1500).items():
        assert {words(p)[-1] for p in problems} == nouns[split]
    assert not nouns["test"] & (nouns["train"] | nouns["validation"])
    assert not nouns["train"] & nouns["validation"]
    assert len(nouns["test"]) >= 60


def test_every_noun_has_one_kind():
    for vocabulary in (
        [n for nouns in NOUNS.values() for n in nouns],
        LISTS + STRINGS + NUMBERS,
    ):
        assert len(set(vocabulary)) == len(vocabulary)


@pytest.mark.parametrize("name", DOMAINS)
def test_the_example_turns_are_never_asked(name):
    task = get_task(name)
    shown = {turn["content"] for turn in task.problems("test", 1)[0].messages[:-1]}
    asked = {question_of(p)["content"] for s in SPLITS for p in task.problems(s, 1000)}
    assert not shown & asked


def test_the_example_words_are_never_asked():
    assert not {"ant", "plum"} & {noun for nouns in NOUNS.values() for noun in nouns}
    assert not {"q", "y"} & {*LISTS, *STRINGS, *NUMBERS}
    assert not any((11, 14, 20) in triples for triples in _triples().values())


@pytest.mark.parametrize("name", GENERATED)
def test_every_reference_answer_earns_the_reward(name):
    task = get_task(name)
    for split in SPLITS:
        problems = task.problems(split, 300, seed=1)
        assert score(task, problems, lambda p: f" {p.answer}\n") == 1.0


@pytest.mark.parametrize("name", GENERATED)
def test_problems_depend_on_the_seed_alone(name):
    task = get_task(name)
    assert task.problems("test", 40, seed=3) == task.problems("test", 40, seed=3)
    assert task.problems("test", 40, seed=3) != task.problems("test", 40, seed=4)
    assert task.step(8, seed=3) == task.step(8, seed=3)
    assert task.step(8, seed=3) != task.step(8, seed=4)


@pytest.mark.parametrize("name", GENERATED)
def test_fewer_problems_are_the_first_of_more(name):
    task = get_task(name)
    few, many = task.problems("test", 40), task.problems("test", 100)
    assert [p.id for p in few] == [p.id for p in many[:40]]


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_prompt_asks_the_same_questions(domain):
    endings = ("", "-shared", "-bare", "-both", "-curriculum")
    asked = [get_task(domain + end).problems("test", 50) for end in endings]
    ids = [[p.id for p in problems] for problems in asked]
    assert all(some == ids[0] for some in ids)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_question_is_known_by_its_id(domain):
    problems = get_task(domain).problems("train", 2000)
    asked = {p.id: question_of(p)["content"] for p in problems}
    assert len(set(asked.values())) == len(asked) == 2000


def test_the_shared_prompt_tells_no_domain():
    prompts = {
        tuple(tuple(m.items()) for m in p.messages[:-1])
        for domain in DOMAINS
        for p in get_task(f"{domain}-shared").problems("test", 5)
    }
    assert prompts == {tuple(tuple(m.items()) for m in shared_prompt())}
    assert [m["content"] for m in shared_prompt()[-2:]] == ["3, 8, 5", "8"]


@pytest.mark.parametrize("domain", DOMAINS)
def test_own_prompts_show_two_examples_as_turns(domain):
    messages = get_task(domain).problems("test", 1)[0].messages
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    assert [m["role"] for m in messages] == roles


@pytest.mark.parametrize("domain", DOMAINS)
def test_both_asks_half_behind_each_prompt(domain):
    task = get_task(f"{domain}-both")
    systems = [p.messages[0]["content"] for p in task.problems("test", 100)]
    assert systems.count("Answer.") == 50
    by_step = [{p.messages[0]["content"] for p in task.step(8, seed)} for seed in range(4)]
    assert by_step[0] == by_step[2] != by_step[1] == by_step[3] == {"Answer."}


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_curriculum_goes_from_the_own_prompt_to_the_bare_question(domain):
    task = get_task(f"{domain}-curriculum")

    def before(progress: float) -> set[int]:
        """How many messages come before the questions of the next steps."""
        steps = (task.step(6, seed, progress=progress) for seed in range(4))
        return {len(p.messages) - 1 for step in steps for p in step}

    found = [before(progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == [{5}, {5, 1}, {1, 0}, {0}, {0}]
    assert {len(p.messages) for p in task.problems("test", 20)} == {1}


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_unbalanced_step_has_kinds_as_chance_has_them(domain):
    task = get_task(domain)
    steps = [task.step(20, seed, balanced=False) for seed in range(20)]
    counts = [Counter(p.kind for p in step) for step in steps]
    assert max(max(count.values()) - min(count.values()) for count in counts) > 1
    assert all(is_for_training(p) for step in steps for p in step)
    assert steps[3] == task.step(20, 3, balanced=False)


def test_a_choice_is_a_position_in_largest_and_the_text_elsewhere():
    largest = get_task("largest")
    problem = largest.problems("train", 1)[0]
    for place, number in zip(("first", "second", "third"), words(problem), strict=True):
        assert largest.choice(problem, f" {number.rstrip(',')}\n") == place
    assert largest.choice(problem, "I think 7") == "none of them"
    assert largest.choice(problem, problem.answer) == problem.kind
    kind = get_task("kind")
    problem = kind.problems("train", 1)[0]
    assert kind.choice(problem, " Animal") == "animal"


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(GENERATED), st.integers(1, 40), st.integers(0, 10**6))
def test_a_step_is_balanced_over_kinds(name, n, seed):
    task = get_task(name)
    counts = Counter(p.kind for p in task.step(n, seed))
    kinds = {p.kind for p in task.problems("train", 200)}
    assert max(counts.values()) - min(counts.get(kind, 0) for kind in kinds) <= 1


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(DOMAINS), st.integers(1, 40), st.integers(0, 10**6))
def test_a_step_asks_distinct_training_questions(name, n, seed):
    step = get_task(name).step(n, seed)
    assert len({p.id for p in step}) == len(step) == n
    assert all(is_for_training(p) for p in step)


def is_for_training(problem):
    """By what makes a question the same one: the set of numbers, the noun, the question."""
    text = question_of(problem)["content"]
    identities = {
        "largest": lambda: "-".join(sorted(text.split(", "))),
        "kind": lambda: text.split()[-1],
        "expression": lambda: text,
    }
    salt = get_task(problem.domain).asker.salt
    return split_of(salt, identities[problem.domain]()) == "train"


def test_nine_problems_of_largest_are_three_triples_in_three_rotations():
    step = get_task("largest").step(9, seed=5)
    triples = Counter(frozenset(p.id.split("/")[1].split("-")) for p in step)
    assert sorted(triples.values()) == [3, 3, 3]
    assert Counter(p.kind for p in step) == {"first": 3, "second": 3, "third": 3}


def test_the_kind_that_is_left_out_changes_with_the_seed():
    for name, n in (("largest", 8), ("kind", 6), ("expression", 19)):
        task = get_task(name)
        counts = [Counter(p.kind for p in task.step(n, seed)) for seed in range(20)]
        rare = {min(count, key=lambda kind: count[kind]) for count in counts}
        kinds = {kind for count in counts for kind in count}
        missing = {kind for count in counts for kind in kinds if kind not in count}
        assert len(rare if n == 8 else missing) == len(kinds)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_fixed_position_scores_a_third(position):
    task = get_task("largest")
    for problems in (task.problems("test", 400), task.step(9, seed=1)):
        share = score(task, problems, lambda p: words(p)[position].rstrip(","))
        assert share == pytest.approx(1 / 3, abs=0.005)


@pytest.mark.parametrize("name", ["expression", "kind"])
def test_the_best_constant_answer_scores_at_chance(name):
    task = get_task(name)
    problems = task.problems("test", 200)
    constants = sorted({p.answer for p in task.problems("train", 20)})
    scores = [score(task, problems, lambda _, text=text: text) for text in constants]
    assert max(scores) <= CHANCE[name] + 0.02


def test_copying_an_item_of_the_question_scores_nothing():
    for name in ("expression", "kind"):
        problems = get_task(name).problems("test", 200)
        for position in (1, 2, -1):
            completion = score(get_task(name), problems, lambda p, i=position: words(p)[i])
            assert completion == 0.0


@pytest.mark.parametrize(
    ("name", "completion"),
    [
        ("largest", "{a} is larger than the others"),
        ("largest", "The largest is {a}"),
        ("largest", "{a}."),
        ("largest", "{a}, {a}"),
        ("largest", "{a}\n{a}"),
        ("largest", "0{a}"),
        ("largest", "{q}"),
        ("largest", ""),
        ("kind", "{a} or food"),
        ("kind", "a {a}"),
        ("kind", "animal, food, vehicle, tool, clothing, instrument or color"),
        ("kind", "{a}s"),
        ("kind", "{a}.."),
        ("kind", ""),
        ("expression", "{a}; {a}"),
        ("expression", "x = {a}"),
        ("expression", "{a} {a}"),
        ("expression", "`{a}`"),
        ("expression", "({a},)"),
        ("expression", "[{a}]"),
        ("expression", ""),
    ],
)
def test_more_than_the_answer_is_wrong(name, completion):
    task = get_task(name)
    problems = task.problems("test", 60)
    spoilt = [(p, completion.format(a=p.answer, q=question_of(p)["content"])) for p in problems]
    assert {grade.reward for grade in task.grade(spoilt)} == {0.0}


def test_the_reason_names_the_wrong_answer_and_the_right_one():
    for name in ("largest", "kind"):
        task = get_task(name)
        problem = task.problems("test", 1)[0]
        (grade,) = task.grade([(problem, " many\n")])
        assert grade == wrong(f"got 'many', expected {problem.answer!r}")


@pytest.mark.parametrize("text", ["Animal", " animal ", "ANIMAL.", "animal\n"])
def test_case_and_one_dot_do_not_matter_for_a_kind(text):
    task = get_task("kind")
    problem = next(p for p in task.problems("test", 20) if p.answer == "animal")
    assert task.grade([(problem, text)]) == [RIGHT]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(("largest", "kind")), st.text())))
def test_any_text_is_right_or_wrong_for_a_reason(attempts):
    for name, text in attempts:
        task = get_task(name)
        (grade,) = task.grade([(task.step(1, 0)[0], text)])
        assert grade == (RIGHT if grade.is_right else wrong(grade.reason))
        assert grade.is_right or re.fullmatch(r"got .{1,40}, expected .{1,40}", grade.reason)
