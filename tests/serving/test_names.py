"""Which names are served, and how they change while the server runs."""

import pytest
from serving.driver import ask, build, chat, dump
from serving.fake_backend import FakeBackend

from mlx_t2.errors import ConfigError


def listed(app) -> list[str]:
    return [model["id"] for model in ask(app, "GET", "/v1/models").json["data"]]


def test_everything_that_can_be_asked_for_is_listed_and_can_be_asked_for():
    app = build(FakeBackend(), aliases={"gpt-4": "base", "clever": "base:math"})
    names = listed(app)
    assert names == [
        *("base", "tiny/model", "base:auto", "base:math", "base:code", "gpt-4", "clever"),
    ]
    for name in names:
        assert chat(app, model=name).status == 200
        assert ask(app, "GET", f"/v1/models/{name}").json["id"] == name


def test_a_model_has_every_key_that_the_api_requires_and_where_it_is_from():
    app = build(FakeBackend(), aliases={"clever": "base:math"})
    for model in ask(app, "GET", "/v1/models").json["data"]:
        assert model.keys() >= {"id", "object", "created", "owned_by", "root", "parent"}
        assert model["object"] == "model"
        assert isinstance(model["created"], int)
    expert = ask(app, "GET", "/v1/models/base:math").json
    assert (expert["root"], expert["parent"], expert["digest"]) == ("math", "base", "hash-math")
    assert ask(app, "GET", "/v1/models/clever").json["root"] == "base:math"
    assert ask(app, "GET", "/v1/models/base").json["parent"] is None


def test_without_a_router_auto_is_not_served():
    app = build(FakeBackend(has_auto=False))
    assert "base:auto" not in listed(app)
    assert chat(app, model="base:auto").status == 404


@pytest.mark.parametrize(
    ("aliases", "word"),
    [
        ({"base": "base:math"}, "name of its own"),
        ({"base:math": "base"}, "name of its own"),
        ({"gpt-4": "base:maths"}, "base:math"),
        ({"gpt-4": "gpt-5", "gpt-5": "base"}, "not served"),
    ],
)
def test_an_alias_that_stands_for_nothing_is_refused_at_the_start(aliases, word):
    with pytest.raises(ConfigError, match=word):
        build(FakeBackend(), aliases=aliases)


def test_an_expert_is_added_replaced_and_removed():
    app = build(FakeBackend(), is_admin=True)
    added = ask(app, "POST", "/v1/experts", {"name": "law", "place": "law-1"})
    assert (added.status, added.json["id"]) == (200, "base:law")
    assert added.json["digest"] == "hash-law-1"
    assert chat(app, model="base:law").status == 200
    replaced = ask(app, "POST", "/v1/experts", {"name": "law", "place": "law-2"})
    assert replaced.json["digest"] == "hash-law-2"
    gone = ask(app, "DELETE", "/v1/experts/law")
    assert gone.json == {"id": "base:law", "object": "model", "deleted": True}
    assert chat(app, model="base:law").status == 404
    assert ask(app, "DELETE", "/v1/experts/law").status == 404


def test_an_alias_of_an_expert_that_is_gone_is_not_listed():
    app = build(FakeBackend(), is_admin=True, aliases={"clever": "base:math"})
    ask(app, "DELETE", "/v1/experts/math")
    assert "clever" not in listed(app)
    assert chat(app, model="clever").status == 404


def test_an_expert_that_cannot_be_had_is_an_error_with_its_reason():
    app = build(FakeBackend(), is_admin=True)
    reply = ask(app, "POST", "/v1/experts", {"name": "law", "place": "damaged"})
    assert reply.status == 400
    assert "truncated" in reply.error["message"]


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "law"}, {"name": "", "place": "x"}, {"name": 3, "place": "x"},
     {"name": "law", "place": None}, {"name": "law", "place": "x", "force": True}, []],
)  # fmt: skip
def test_what_is_no_expert_is_refused(body):
    app = build(FakeBackend(), is_admin=True)
    assert ask(app, "POST", "/v1/experts", dump(body)).error["type"] == "invalid_request_error"


def test_experts_are_not_changed_unless_the_server_was_started_for_it():
    backend = FakeBackend()
    app = build(backend)
    assert ask(app, "POST", "/v1/experts", {"name": "law", "place": "x"}).status == 403
    assert ask(app, "DELETE", "/v1/experts/math").status == 403
    assert set(backend.served) == {"math", "code"}


def test_probes_say_alive_and_ready():
    backend = FakeBackend()
    app = build(backend)
    assert ask(app, "GET", "/health").json == {"status": "ok"}
    assert ask(app, "GET", "/ready").status == 200
    backend.is_ready = False
    assert ask(app, "GET", "/ready").status == 503
    assert ask(app, "GET", "/health").status == 200


def test_a_server_that_is_about_to_end_says_so():
    backend = FakeBackend()
    app = build(backend)
    backend.drain()
    assert ask(app, "GET", "/ready").error["code"] == "draining"
    assert ask(app, "GET", "/health").status == 200
    reply = chat(app)
    assert (reply.status, reply.error["code"]) == (503, "draining")
    assert "retry-after" in reply.headers


def test_metrics_are_text_that_prometheus_reads():
    app = build(FakeBackend())
    chat(app), chat(app, stream=True), chat(app, model="nobody")
    reply = ask(app, "GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    name = 'mlx_t2_http_requests_total{endpoint="/v1/chat/completions",status="%d"}'
    assert values[name % 200] == "2"
    assert values[name % 404] == "1"
    assert values["mlx_t2_http_request_seconds_count"] == "3"
    assert values["mlx_t2_steps_total"] == "40"
    assert "# TYPE mlx_t2_steps_total counter" in lines
    assert "# TYPE mlx_t2_rows gauge" in lines
    assert all(len(line.split(" ")) == 2 for line in lines if not line.startswith("#"))
