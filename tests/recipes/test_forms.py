"""What of the forms is measured again, without the default model."""

import json

from mlx_t2.recipes import forms


def test_what_is_half_measured_is_finished_and_each_extent_is_apart(tmp_path, monkeypatch):
    kept = {f"{form}, {bits} bits": {} for form, bits in forms.WAYS}
    asked = []
    monkeypatch.setattr(forms, "_measure_kept", lambda: iter(kept.items()))
    monkeypatch.setattr(forms, "_answer_bundled", lambda *given: asked.append(given) or {})
    monkeypatch.setattr(forms, "_train", lambda *_: {})
    monkeypatch.setattr(forms, "draw_forms", lambda path: path)
    monkeypatch.setattr(forms, "FORMS_DATA", tmp_path / "forms.json")
    (tmp_path / "measured-4-2.json").write_text(json.dumps({"kept": dict([*kept.items()][:1])}))
    list(forms.measure_forms(tmp_path, problems=4, steps=2))
    found = json.loads(forms.FORMS_DATA.read_text())
    assert found["kept"] == kept
    assert len(found["accuracy"]) == len(asked) == len(forms.COMPARED) * len(forms.DOMAINS)
    list(forms.measure_forms(tmp_path, problems=4, steps=2))
    assert len(asked) == len(found["accuracy"])  # all on disk
    list(forms.measure_forms(tmp_path, problems=5, steps=2))
    assert len(asked) == 2 * len(found["accuracy"])
