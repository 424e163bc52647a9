"""The worked cases of the specification, and the protections it asks for."""

from __future__ import annotations

import pytest

from penstock.profiles.identity.rules import Identifier, IdentityRules
from tests.profiles.identity.people import People


def test_another_user_id_with_a_known_email_is_another_person() -> None:
    people = People()
    one = people.see("abc123", email="jane@example1.com")
    other = people.see("abc456", email="jane@example1.com")
    assert other.profile != one.profile
    assert other.created
    assert people.ids(one.profile) == {("user_id", "abc123"), ("email", "jane@example1.com")}
    assert people.ids(other.profile) == {("user_id", "abc456")}
    assert [(left.type, why) for left, why in other.dropped] == [("email", "limit")]


def test_an_anonymous_visitor_who_logs_in_is_one_profile() -> None:
    people = People()
    visit = people.resolve(type="page", anonymousId="anon_123")
    login = people.see("use_123", "anon_123")
    assert login.profile == visit.profile
    assert people.graph.public_id(login.profile).startswith("use_")
    assert people.ids(login.profile) == {("anonymous_id", "anon_123"), ("user_id", "use_123")}


def test_the_younger_profile_merges_into_the_older() -> None:
    people = People()
    first = people.resolve(type="identify", anonymousId="A", traits={"email": "e@x.org"}, day=0)
    second = people.see(anonymous="B", day=1)
    joined = people.resolve(type="identify", anonymousId="B", traits={"email": "e@x.org"}, day=2)
    assert joined.profile == first.profile
    assert [merge.other for merge in joined.merges] == [second.profile]
    assert people.ids(first.profile) == {
        ("anonymous_id", "A"), ("anonymous_id", "B"), ("email", "e@x.org"),
    }  # fmt: skip
    assert people.graph.segments_of(first.profile) == (first.profile, second.profile)


def test_the_earlier_created_survives_even_if_it_came_later() -> None:
    people = People()
    young = people.see(anonymous="A", day=5)
    old = people.see(anonymous="B", day=1)
    joined = people.resolve(type="alias", userId="u", previousId="A", anonymousId="B")
    assert joined.profile == old.profile
    assert [merge.other for merge in joined.merges] == [young.profile]


def test_a_shared_tablet_keeps_its_users_apart() -> None:
    people = People()
    one = people.see("u1", device="tablet")
    other = people.see("u2", device="tablet")
    assert other.profile != one.profile
    assert people.owner("ios.id", "tablet") == one.profile
    assert people.see("u2", device="tablet").profile == other.profile


def test_a_sixth_email_is_not_attached_and_the_event_still_belongs() -> None:
    people = People()
    for number in range(5):
        profile = people.see("u", email=f"{number}@x.org").profile
    sixth = people.see("u", email="6@x.org")
    assert sixth.profile == profile
    assert [(left.value, why) for left, why in sixth.dropped] == [("6@x.org", "limit")]
    assert people.owner("email", "6@x.org") is None


def test_a_login_on_a_shared_computer() -> None:
    """The second to log in does not get what the first did on it."""
    people = People()
    first = people.see("u1", "computer")
    assert people.see(anonymous="computer").profile == first.profile
    second = people.see("u2", "computer")
    assert second.profile != first.profile
    assert people.see(anonymous="computer").profile == first.profile
    assert [(left.type, why) for left, why in second.dropped] == [("anonymous_id", "limit")]


def test_a_bot_with_ten_thousand_anonymous_ids() -> None:
    people = People()
    profile = people.see("bot", "a0").profile
    for number in range(1, 10_000):
        assert people.see("bot", f"a{number}").profile == profile
    assert len(people.ids(profile)) == 6  # its user id, and five of them
    (count,) = people.connection.execute("SELECT count(*) FROM segments").fetchone()
    assert count == 1


@pytest.mark.parametrize(
    "email",
    ["null", "undefined", "none", "NaN", "", "  ", "-1", "anonymous", "0000", "[object Object]",
     "00000000-0000-0000-0000-000000000000", "unknown"],
)  # fmt: skip
def test_an_email_that_is_none_joins_nobody(email: str) -> None:
    people = People()
    one = people.see("u1", email=email)
    other = people.see("u2", email=email)
    assert one.profile != other.profile
    assert people.ids(one.profile) == {("user_id", "u1")}
    rows = people.connection.execute("SELECT type, reason FROM drops").fetchall()
    assert rows == [("email", "blocked")] * 2


def test_two_people_on_one_phone_number() -> None:
    def call(user: str) -> dict[str, object]:
        return {"type": "identify", "userId": user, "traits": {"phone": "+49 30 1234567"}}

    off = People()
    one, other = (off.resolve(**call(user)) for user in ("u1", "u2"))  # type: ignore[arg-type]
    assert one.profile != other.profile
    assert off.owner("phone", "+49301234567") is None
    on = People(IdentityRules({"phone": Identifier(limit=1)}))
    one, other = (on.resolve(**call(user)) for user in ("u1", "u2"))  # type: ignore[arg-type]
    assert one.profile != other.profile
    assert on.owner("phone", "+49301234567") == one.profile
    assert [(left.type, why) for left, why in other.dropped] == [("phone", "limit")]


def test_more_merges_than_allowed() -> None:
    people = People(IdentityRules({"anonymous_id": Identifier(limit=1_000)}))
    profile = people.see("u").profile
    for number in range(120):
        people.see(anonymous=f"a{number}", day=1)
        people.see("u", f"a{number}", day=2)
    assert len(people.graph.segments_of(profile)) == 101
    assert people.see("u", "a119").profile == profile
    assert people.owner("anonymous_id", "a119") != profile


def test_more_ids_than_allowed() -> None:
    people = People(IdentityRules({"anonymous_id": Identifier(limit=9_999)}, mappings=50))
    profile = people.see("u").profile
    for number in range(60):
        assert people.see("u", f"a{number}").profile == profile
    assert len(people.ids(profile)) == 50


def test_a_limit_by_month_lets_new_ones_in_later() -> None:
    rules = IdentityRules({"anonymous_id": Identifier(limit=2, period="monthly")})
    people = People(rules)
    for number, day in ((0, 0), (1, 1), (2, 2), (3, 35), (4, 36), (5, 37)):
        people.see("u", f"a{number}", day=day)
    owned = {value for kind, value in people.ids(1) if kind == "anonymous_id"}
    assert owned == {"a0", "a1", "a3", "a4"}


def test_alias_joins_an_anonymous_id_or_a_user_id() -> None:
    people = People()
    visitor = people.see(anonymous="anon")
    joined = people.resolve(type="alias", userId="u1", previousId="anon")
    assert joined.profile == visitor.profile
    people.see("old")
    refused = people.resolve(type="alias", userId="u1", previousId="old")
    assert refused.profile == joined.profile  # a person has one user id
    assert people.owner("user_id", "old") not in (None, joined.profile)
    wide = People(IdentityRules({"user_id": Identifier(limit=2)}))
    old = wide.see("old")
    assert wide.resolve(type="alias", userId="new", previousId="old").profile == old.profile


def test_ids_by_whatever_way_they_come() -> None:
    people = People(IdentityRules({"loyalty_id": Identifier(key="loyaltyId", limit=1)}))
    found = people.resolve(
        type="identify",
        userId="u",
        anonymousId="a",
        traits={"email": "  Jane@X.org ", "loyalty_id": 77},
        context={
            "device": {"type": "android", "id": "d", "advertisingId": "i", "token": "t",
                       "adTrackingEnabled": True},
            "integrations": {"Google Analytics": {"clientId": "g"}},
            "externalIds": [
                {"id": "x", "type": "custom", "collection": "users", "encoding": "none"},
                {"id": "y", "type": "Upper", "collection": "users", "encoding": "none"},
                {"id": "z", "type": "account", "collection": "accounts", "encoding": "none"},
                {"id": "w", "type": "custom", "collection": "users"},
                "odd",
            ],
        },
    )  # fmt: skip
    assert people.ids(found.profile) == {
        ("user_id", "u"), ("anonymous_id", "a"), ("email", "jane@x.org"), ("loyalty_id", "77"),
        ("android.id", "d"), ("android.idfa", "i"), ("android.push_token", "t"),
        ("ga_client_id", "g"), ("custom", "x"),
    }  # fmt: skip
    (email,) = (one for one in people.graph.ids_of(found.profile) if one.type == "email")
    assert email.original == "  Jane@X.org "


@pytest.mark.parametrize(
    "context",
    [
        {"device": {"type": "ios", "advertisingId": "i", "adTrackingEnabled": False}},
        {"device": {"type": 7, "id": "i"}},
        {"device": "ios"},
        {"traits": {"email": {"a": 1}}},
        {"traits": ["email"]},
        {"externalIds": {"id": "x"}},
        {"integrations": {"Google Analytics": {"clientId": None}}},
    ],
)
def test_what_is_no_id_is_left_alone(context: dict[str, object]) -> None:
    people = People()
    found = people.resolve(anonymousId="a", context=context)
    assert people.ids(found.profile) == {("anonymous_id", "a")}


def test_an_event_without_ids_is_of_nobody() -> None:
    people = People()
    assert people.graph.resolve(people.event()) is None
    assert people.graph.resolve(people.event(userId="null")) is None


def test_a_type_that_is_switched_off_joins_nobody() -> None:
    people = People(IdentityRules({"ga_client_id": Identifier(enabled=False)}))
    context = {"integrations": {"Google Analytics": {"clientId": "g"}}}
    one = people.resolve(userId="u1", context=context)
    assert people.ids(one.profile) == {("user_id", "u1")}


def test_what_a_rolled_back_transaction_brought_is_forgotten() -> None:
    people = People()
    people.connection.execute("BEGIN")
    people.see("u1", "a1")
    people.connection.execute("ROLLBACK")
    people.graph.discard()
    assert people.owner("user_id", "u1") is None
    assert people.see("u1", "a1").created


def test_groups_are_linked_and_join_nobody() -> None:
    people = People()
    for user in ("u1", "u2"):
        people.resolve(type="group", userId=user, groupId="acme", traits={})
    people.resolve(type="group", userId="u1", groupId="acme", traits={})
    assert people.owner("user_id", "u1") != people.owner("user_id", "u2")
    rows = people.connection.execute("SELECT segment, group_id FROM links ORDER BY 1").fetchall()
    assert rows == [(1, "acme"), (2, "acme")]
