"""Bytes of each form by hand and of the arrays, predictions, and what is kept of a change."""

import json

import pytest
from helpers import random_scales, tiny_network, tiny_tokenizer

from mlx_t2.benchmarks import (
    BIG,
    LLAMA_8B,
    PUBLISHED,
    WAYS,
    count_bytes,
    count_quantised,
    measure_kept,
    predict,
)
from mlx_t2.benchmarks.beside import measure_reading
from mlx_t2.benchmarks.forms_read import Shape, measure_bytes
from mlx_t2.models import SVFModel
from mlx_t2.recipes import forms_page, measure_forms
from mlx_t2.recipes.forms_page import forms_section, macs_section

SHAPES = {"tall": Shape(384, 128), "wide": Shape(128, 384), "square": Shape(128, 128)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [*SHAPES.values(), BIG])
def test_the_arrays_have_the_bytes_that_shapes_say(shape, way):
    assert measure_bytes(shape, *way) == count_bytes(shape, *way)


def test_what_a_step_reads_of_a_large_weight_is_what_the_design_says():
    """Relative to the 4-bit base alone; entries of 4.5 bits."""
    base = count_quantised(BIG.entries, 4)
    assert base == 4096 * 14336 * 4.5 / 8
    read = {way: count_bytes(BIG, *way) / base for way in WAYS}
    assert read["beside", 4] <= 1.35
    expected = {("live", 16): 3.03, ("live", 8): 2.05, ("folded", 8): 1.89, ("beside", 8): 1.54}
    assert {way: round(read[way], 2) for way in expected} == expected
    assert min(read, key=read.__getitem__) == ("beside", 4)
    rows = list(measure_reading())
    assert [round(row.ours / row.other, 3) for row in rows] == [
        round(r, 3) for r in read.values()
    ]


def test_a_prediction_is_bandwidth_over_bytes():
    table = {chip: (base, forms) for chip, base, forms in predict(LLAMA_8B)}
    assert table.keys() == PUBLISHED.keys()
    # an 8B llama in 4 bits: 7.5 billion entries are read, its embeddings are not
    assert LLAMA_8B.base_bytes == pytest.approx(7.505e9 * 4.5 / 8, rel=1e-3)
    base, forms = table["M1 Max"]
    assert base == pytest.approx(400e9 / LLAMA_8B.base_bytes)
    assert forms == sorted(forms)
    assert 0.75 < forms[-1] / base < 0.85


@pytest.fixture(scope="module")
def kept():
    model = SVFModel("tiny", tiny_network(hidden=64), tiny_tokenizer())
    for _ in model.decompose():
        pass
    scales = random_scales(model.shapes, spread=0.03)
    return {(k.form, k.bits): k for k in measure_kept(model, scales, WAYS, every=2)}


@pytest.mark.parametrize("form", ["live", "beside"])
def test_more_bits_keep_more_of_the_change(kept, form):
    errors = [kept[form, bits].error for bits in (16, 8, 4)]
    assert errors == sorted(errors)
    assert kept[form, 16].correlation > 0.999
    assert kept[form, 16].share == pytest.approx(1, abs=0.01)


def test_four_bits_beside_keep_more_than_eight_bits_folded(kept):
    assert kept["beside", 4].correlation >= 0.99
    assert kept["beside", 8].correlation > kept["folded", 8].correlation


# The page


def test_the_page_says_that_forms_are_not_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(forms_page, "FORMS_DATA", tmp_path / "none.json")
    assert forms_section() == "Not measured yet: `python -m mlx_t2_cli.recipes forms`."


def test_the_page_shows_what_was_measured(monkeypatch, tmp_path):
    right = {"task": "kind-bare", "correct": 9, "n": 10, "interval": [0.6, 0.98]}
    found = {
        **{"command": "make forms", "machine": "this one", "commit": "abc"},
        "kept": {
            "beside, 4 bits": {
                **{"form": "beside", "bits": 4, "read": 1.286},
                **{"correlation": 0.996, "share": 1.0, "error": 0.09},
            }
        },
        "accuracy": {"kind|beside, 4 bits": right, "kind|live, q in 8 bits": right},
        "trained": {"4": right | {"steps": 20, "seed": 0}},
    }
    path = tmp_path / "forms.json"
    path.write_text(json.dumps(found))
    monkeypatch.setattr(forms_page, "FORMS_DATA", path)
    text = forms_section()
    assert "`make forms` on this one, commit abc" in text
    assert "| beside, 4 bits | 1.286 | 0.996 | 1 | 0.09 |" in text
    assert "| form | kind, n = 10 |" in text
    assert "| live, q in 8 bits | 90.0 (60-98) |" in text
    assert "| 4 bits | 20 | 0 | 90.0 (60-98) | 10 |" in text
    assert forms_page.draw_forms(tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_leave_the_measured_column_to_owners_of_macs():
    rows = macs_section().splitlines()[4:]
    assert len(rows) == len(PUBLISHED)
    assert all(row.endswith("| – |") for row in rows)


def test_what_was_measured_before_a_stop_is_not_measured_again(monkeypatch, tmp_path):
    out = tmp_path / "forms"
    out.mkdir()
    from mlx_t2.recipes import forms

    monkeypatch.setattr(forms, "FORMS_DATA", tmp_path / "forms.json")
    monkeypatch.setattr(forms, "draw_forms", lambda path: path)
    asked = []
    monkeypatch.setattr(forms, "_answer_bundled", lambda *way: asked.append(way) or {})
    monkeypatch.setattr(forms, "_train", lambda out, basis, *_: {"basis": basis})
    monkeypatch.setattr(forms, "_measure_kept", lambda: iter([("live", {})]))
    running = measure_forms(out, 5)
    for _ in range(4):
        next(running)
    running.close()
    assert len(asked) == 3
    assert list(measure_forms(out, 5))[-2:]
    assert len(asked) == len(forms.COMPARED) * len(forms.DOMAINS)
    assert json.loads((tmp_path / "forms.json").read_text())["trained"].keys() == {
        *("32", "16", "8", "4")
    }
