"""People and audiences, as programs see them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from penstock.api.profile_bodies import Pace
from tests.api.calling import Answer, Client

USER = "/v1/spaces/default/collections/users/profiles/user_id:u1"


def basic(client: Client, path: str, user: str | None = None) -> Answer:
    """As the Profile API is called: the token as user name."""
    given = base64.b64encode(f"{client.token if user is None else user}:".encode()).decode()
    return Client(client.url)("GET", path, headers={"Authorization": f"Basic {given}"})


def patiently(ask: Callable[[], Any]) -> Any:
    """What it gives, once that is something."""
    deadline = time.monotonic() + 60
    while True:
        found = ask()
        if found:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def person(admin: Client) -> Client:
    """An administrator, once the person u1 and an audience are known."""
    fields = {"when": 'did "Toast Buttered"', "name": "Butterers"}
    assert admin("POST", "/audiences", {"slug": "butterers", "fields": fields}).status == 201
    patiently(lambda: admin("GET", "/audiences/butterers").body["size"])
    return admin


def test_traits_and_audiences_of_a_person(person: Client) -> None:
    answer = basic(person, f"{USER}/traits")
    assert answer.status == 200
    assert len(answer.headers["request-id"]) == 32
    assert answer.body["traits"]["butterers"] is True
    assert answer.body["cursor"] == {
        "url": f"{USER}/traits", "has_more": False, "next": "", "limit": 10,
    }  # fmt: skip
    full = basic(person, f"{USER}/traits?class=audience&verbose=true").body["traits"]["butterers"]
    assert (full["value"], full["source_id"]) == (True, "penstock")
    assert full["updated_at"].endswith("Z")
    none = basic(person, f"{USER}/traits?exclude=butterers").body["traits"]
    assert "butterers" not in none


def test_the_other_parts_of_a_person(person: Client) -> None:
    (one,) = basic(person, f"{USER}/external_ids?include=user_id").body["data"]
    assert (one["id"], one["type"], one["source_id"], one["encoding"], one["collection"]) == (
        "u1", "user_id", "shop", "none", "users",
    )  # fmt: skip
    events = basic(person, f"{USER}/events?limit=1&sort=asc").body
    (event,) = events["data"]
    assert (event["event"], event["properties"], event["message_id"]) == (
        "Toast Buttered", {"slices": 2}, "m1",
    )  # fmt: skip
    assert event["external_ids"][0]["id"] == "u1"
    assert event["related"]["users"].startswith("use_")
    metadata = basic(person, f"{USER}/metadata").body["metadata"]
    assert (metadata["first_message_id"], metadata["first_source_id"]) == ("m1", "shop")
    assert basic(person, f"{USER}/links").body["data"] == []
    assert basic(person, f"{USER}/events?include=Nope").body["data"] == []


def test_errors_of_the_profile_api(person: Client, with_scopes: Callable[..., Client]) -> None:
    def code(answer: Answer) -> tuple[int, str]:
        assert list(answer.body) == ["error"] and "request-id" in answer.headers
        assert set(answer.body["error"]) == {"code", "message"}
        return answer.status, answer.body["error"]["code"]

    other = USER.replace("u1", "nobody")
    missing = basic(person, f"{other}/traits")
    assert code(missing) == (404, "not_found")
    assert missing.body["error"]["message"] == "Profile was not found."
    assert code(basic(person, f"{USER}/traits", "pst_wrong")) == (401, "authentication_error")
    assert code(basic(person, f"{USER}/traits", "")) == (401, "authentication_error")
    poor = with_scopes("status:read")
    assert code(basic(poor, f"{USER}/traits")) == (403, "authentication_error")
    assert code(basic(person, f"{USER}/traits?limit=201")) == (400, "validation_error")
    assert code(basic(person, f"{USER}/traits?nope=1")) == (400, "invalid_request_error")
    assert code(basic(person, f"{USER}/events?next=x")) == (400, "invalid_request_error")
    group = "/v1/spaces/default/collections/accounts/profiles/group_id:none/traits"
    assert code(basic(person, group)) == (404, "not_found")


def test_an_audience_with_its_members_and_why(person: Client) -> None:
    found = person("GET", "/audiences/butterers").body
    assert (found["state"], found["size"]) == ("live", 1)
    assert found["definition"]["when"] == 'did "Toast Buttered"'
    (member,) = person("GET", "/audiences/butterers/members?limit=5").body["items"]
    assert member["ids"] == [{"type": "user_id", "value": "u1"}]
    shown = person("GET", "/profiles/user_id:u1?why=butterers").body
    (why,) = shown["why"]
    assert (why["audience"], why["member"]) == ("butterers", True)
    assert why["condition"]["found"] == 1
    assert person("GET", "/profiles/u1").code == "invalid_request"


def test_a_preview_over_the_api(person: Client) -> None:
    found = person("POST", "/audiences/preview", {"when": 'did not "Toast Burnt"'}).body
    assert found["size"] >= 1
    assert {"type": "user_id", "value": "u1"} in [one["ids"][0] for one in found["sample"]]
    wrong = person("POST", "/audiences/preview", {"when": "did"})
    assert wrong.code == "refused"


def test_definitions_are_made_changed_and_deleted(admin: Client) -> None:
    trait = {"kind": "count", "event": "Toast Buttered"}
    assert admin("POST", "/traits", {"slug": "slices", "fields": trait}).status == 201
    assert admin("POST", "/traits", {"slug": "slices", "fields": trait}).code == "exists"
    assert admin("GET", "/traits/slices").body["fields"]["kind"] == "count"
    assert admin("PUT", "/traits/slices", {**trait, "within": "7 days"}).status == 200
    audience = {"when": "trait slices > 3", "space": "default"}
    assert admin("POST", "/audiences", {"slug": "many", "fields": audience}).status == 201
    assert admin("PUT", "/audiences/many", {**audience, "nope": 1}).code == "refused"
    assert admin("PUT", "/audiences/nope", audience).code == "not_found"
    assert "many" in [one["slug"] for one in admin("GET", "/audiences").body["items"]]
    assert admin("DELETE", "/audiences/many").status == 204
    assert admin("DELETE", "/traits/slices").status == 204
    assert admin("GET", "/audiences/many").code == "not_found"
    space = {"trait_strategies": {"visits": "sum"}}
    assert admin("PUT", "/spaces/trial", space).status == 200
    assert "trial" in [one["slug"] for one in admin("GET", "/spaces").body["items"]]


def test_a_hundred_requests_a_second_for_each_space() -> None:
    now = 10.0
    pace = Pace(lambda: now)
    assert [pace.take("default") for _ in range(102)] == [True] * 100 + [False] * 2
    assert pace.take("other")
    now = 11.0
    assert pace.take("default")
