"""The decoding loop by itself: rows that end by their scores, what is known of each token, and
rows that are handed on.
"""

from dataclasses import replace

import mlx.core as mx
import pytest
from helpers import assert_close, random_scales

from mlx_t2.errors import ScoresError
from mlx_t2.reading import as_batch, is_plain, read_alone
from mlx_t2.sampling import ContinuousBatch, Decoder, Row, SamplingConfig, row_keys, sample

CONFIG = SamplingConfig(temperature=1, seed=4, max_tokens=8)
PROMPT = [5, 6, 7, 8]
(KEY,) = row_keys(CONFIG.seed, [(0, 0)])


@pytest.fixture(autouse=True)
def no_answer_ends_early(tiny_model):
    tiny_model.eos_ids = frozenset()


def join(decoder, model, prompt=PROMPT, scales=None, **fields) -> Row:
    scales = {} if scales is None else scales
    row = Row(0, KEY, CONFIG, scales, **fields)
    decoder.join([row], as_batch(read_alone(model, prompt, scales)), prompt[-1:])
    return row


def finish(decoder, rows):
    while any(row.finish_reason is None for row in rows):
        decoder.advance()


def broken(model):
    return {path: mx.full(shape, 1e30) for path, shape in model.shapes.items()}


@pytest.mark.parametrize("is_ahead", [True, False])
def test_scores_that_are_not_finite_end_their_row_alone(tiny_model, is_ahead):
    decoder = Decoder(tiny_model, is_ahead)
    good, bad = join(decoder, tiny_model), join(decoder, tiny_model, scales=broken(tiny_model))
    finish(decoder, [good, bad])
    assert (bad.finish_reason, bad.tokens) == ("scores", [])
    assert tuple(good.tokens) == sample(tiny_model, [PROMPT], CONFIG)[0][0].tokens


def test_they_are_an_error_where_nobody_looks_at_each_row(tiny_model):
    batch = ContinuousBatch(tiny_model)
    batch.insert(PROMPT, broken(tiny_model), CONFIG)
    with pytest.raises(ScoresError, match="the scales that it wears are too large"):
        batch.step()
    batch.close()
    with tiny_model.using(broken(tiny_model)), pytest.raises(ScoresError):
        sample(tiny_model, [PROMPT], CONFIG)


@pytest.mark.parametrize("is_ahead", [True, False])
def test_scores_are_of_the_tokens_they_stand_beside(tiny_model, is_ahead):
    decoder = Decoder(tiny_model, is_ahead)
    first = join(decoder, tiny_model, scored=2)
    decoder.advance()
    rows = [first, join(decoder, tiny_model, [9, 8]), join(decoder, tiny_model, [9], scored=0)]
    finish(decoder, rows)
    assert [len(row.scores) for row in rows] == [len(first.tokens), 0, len(rows[2].tokens)]
    assert [len(score.top) for score in rows[2].scores] == [0] * len(rows[2].tokens)
    for row, prompt in ((rows[0], PROMPT), (rows[2], [9])):
        logits = tiny_model.network(mx.array([[*prompt, *row.tokens]]))[0, len(prompt) - 1 : -1]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        wanted = mx.take_along_axis(logprobs, mx.array(row.tokens)[:, None], axis=1)[:, 0]
        assert_close(mx.array([s.logprob for s in row.scores]), wanted, 1e-4)


def test_nothing_is_scored_where_nobody_asks(tiny_model, monkeypatch):
    monkeypatch.setattr("mlx_t2.sampling.rows.score_tokens", None)
    decoder = Decoder(tiny_model, is_ahead=False)
    row = join(decoder, tiny_model)
    finish(decoder, [row])
    assert row.tokens
    assert not any(row.scores)


@pytest.mark.parametrize("is_ahead", [True, False])
def test_what_a_row_has_read_can_be_taken_out_and_gone_on_with(tiny_model, is_ahead):
    decoder = Decoder(tiny_model, is_ahead)
    scales = random_scales(tiny_model.shapes, spread=0.5)
    others = [join(decoder, tiny_model, [9, 8, 7, 6, 5, 4, 3, 9])]
    row = join(decoder, tiny_model, scales=scales)
    for _ in range(3):
        decoder.advance()
    known = [*PROMPT, *row.tokens]
    caches = decoder.extract(row, len(known) - 1)
    assert is_plain(caches)
    assert caches[0].offset == len(known) - 1
    caches = tiny_model.own(caches, scales)
    with tiny_model.using(scales):
        whole = tiny_model.network(mx.array([known]))[0, -1:]
    assert_close(tiny_model.logits_at(mx.array([known[-1:]]), caches, mx.arange(1)), whole)
    finish(decoder, [row, *others])
    decoder.prune()
    assert decoder.extract(row, 2) is None


def test_a_decoder_hands_its_rows_on(tiny_model):
    alone, together = (Decoder(tiny_model, is_ahead=False) for _ in range(2))
    row, other = join(alone, tiny_model), join(together, tiny_model, [9, 8])
    alone.advance()
    together.join(*alone.release())
    assert alone.advance() == []
    assert together.count == 2
    finish(together, [row, other])
    assert tuple(row.tokens) == sample(tiny_model, [PROMPT], CONFIG)[0][0].tokens


def test_a_row_that_is_begun_again_goes_on_as_it_would_have(tiny_model):
    expected = sample(tiny_model, [PROMPT], CONFIG)[0][0].tokens
    known = list(expected[:3])
    row = Row(0, KEY, CONFIG, {}, tokens=known, drawn=len(known))
    decoder = Decoder(tiny_model, is_ahead=False)
    caches = read_alone(tiny_model, [*PROMPT, *known], {})
    decoder.join([row], as_batch(caches), known[-1:])
    finish(decoder, [row])
    assert tuple(row.tokens) == expected


def test_rows_that_have_ended_are_let_go(tiny_model):
    decoder = Decoder(tiny_model, is_ahead=False)
    rows = [join(decoder, tiny_model, [5 + k, 6]) for k in range(3)]
    decoder.advance()
    rows[1].finish_reason = "removed"
    decoder.prune()
    assert decoder.count == 2
    assert decoder.extract(rows[1], 1) is None
    finish(decoder, rows)
    for k in (0, 2):
        expected = sample(tiny_model, [[5 + k, 6]], replace(CONFIG, max_tokens=8))[0][0].tokens
        assert tuple(rows[k].tokens) == expected
