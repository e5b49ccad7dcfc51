"""`t2 adapt`, experts as sums, and `t2 experts compare`, on a tiny model."""

import pytest

from mlx_t2.experts import Expert

ADAPT = (
    "adapt largest --model tiny --experts experts --shots 2 --population 4 --iterations 2 "
    "--limit 3"
)


def test_a_mixture_is_found_reported_on_others_and_written(t2, place, experts):
    ran = t2(f"{ADAPT} --out mixed.safetensors --json")
    found = ran.result
    assert found.keys() >= {"task", "coefficients", "score", "evaluations", "expert"}
    assert found["coefficients"].keys() == {"alpha", "beta"}
    assert (found["n"], found["n_shots"], found["task"]) == (3, 2, "largest")
    assert "iteration 1 of 2" in ran.stderr
    made = Expert.load(place / "mixed.safetensors")
    assert made.config["coefficients"] == found["coefficients"]
    again = t2(f"{ADAPT} --out again.safetensors --json").result
    assert again["coefficients"] == found["coefficients"]
    scales = Expert.load(place / "again.safetensors").digest
    assert scales == made.digest
    asked = t2("generate 7,4 --model tiny --expert mixed.safetensors --max-tokens 2 --json")
    assert asked.code == 0


def test_what_it_shows_people(t2, experts):
    ran = t2(f"{ADAPT} --by gradient --per layer --among alpha --out mixed.safetensors")
    assert ran.code == 0
    assert "other problems (95 % interval" in " ".join(ran.stdout.split())
    assert "mean" in ran.stdout
    assert "beta" not in ran.stdout


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (f"{ADAPT} --out mixed.txt", 2, "--out: got mixed.txt, expected a file.safetensors"),
        (f"{ADAPT} --per row", 2, "'row' is not one of 'model', 'layer', 'matrix'"),
        (f"{ADAPT} --among nobody", 1, "expert 'nobody': unknown, expected one of: alpha"),
        ("adapt nonsense --model tiny", 1, "task: unknown name 'nonsense'"),
        ("generate hi --model tiny --experts experts --expert alpha+", 1, "expected a sum"),
        (
            "generate hi --model tiny --experts experts --expert alpha+nobody",
            1,
            "expert 'nobody': unknown, expected one of: alpha, beta",
        ),
        (
            "generate hi --model tiny --experts experts --adapt cls",
            1,
            "no expert of tiny that was trained to classify, expected one",
        ),
        ("experts compare nobody --experts experts", 1, "expert 'nobody': unknown"),
        (
            "experts compare --experts experts --plot z.doc",
            2,
            "--plot: got z.doc, expected one of .png, .pdf, .svg",
        ),
    ],
)
def test_bad_input_is_said_in_one_line(t2, experts, line, code, message):
    ran = t2(line)
    assert (ran.code, "Traceback" in ran.stderr) == (code, False)
    assert message in ran.said


def test_a_sum_is_worn(t2, experts):
    line = "generate hi --model tiny --experts experts --max-tokens 2 --json --expert "
    one, other = (
        t2(f"{line} '{text}'").result for text in ("0.5*alpha - beta", "-beta + 0.5*alpha")
    )
    assert one["route"]["weights"] == {"alpha": 0.5, "beta": -1.0}
    assert one["text"] == other["text"]


@pytest.mark.parametrize("name", ["average", "sum"])
def test_all_experts_are_worn_at_once(t2, experts, name):
    line = f"generate hi --model tiny --experts experts --max-tokens 2 --json --adapt {name}"
    route = t2(line).result["route"]
    assert route["strategy"] == name
    assert route["weights"] == dict.fromkeys(("alpha", "beta"), 0.5 if name == "average" else 1)


def test_experts_are_compared(t2, place, experts):
    pytest.importorskip("matplotlib")
    ran = t2("experts compare --experts experts --plot z.png --json")
    alpha, beta = ran.result["experts"]
    assert (alpha["name"], alpha["nearest"], beta["nearest"]) == ("alpha", "beta", "alpha")
    assert ran.result["cosines"][0][0] == pytest.approx(1)
    assert alpha["cosine"] == pytest.approx(ran.result["cosines"][0][1], abs=1e-5)
    assert (place / "z.png").stat().st_size > 1000
    assert "nearest" in t2("experts compare alpha beta --experts experts").stdout


def test_a_trained_expert_says_what_it_is_for(trained, place):
    made = Expert.load(place / "run" / "expert.safetensors")
    assert made.description == "the largest of three numbers"
    assert len(made.examples) == 2
    assert all(text.count(", ") == 2 for text in made.examples)
