"""What others are told of a person."""

from __future__ import annotations

import msgspec

from penstock.profiles.stream.emission import Subject, Told, addresses, messages

JANE = Subject(
    "default",
    "use_1",
    (
        ("anonymous_id", "a1"),
        ("user_id", "u1"),
        ("email", "jane@example.com"),
        ("email", "jane@work.example"),
    ),
    {"plan": "gold", "age": 7},
)
NOW = 1_700_000_000_000_000


def told(
    subject: Subject, one: Told, turn: int = 1, only: tuple[tuple[str, str], ...] = ()
) -> list[dict[str, object]]:
    return [msgspec.json.decode(each.payload) for each in messages(subject, one, turn, NOW, only)]


def test_one_call_for_each_user_id_and_email() -> None:
    calls = told(JANE, Told("audience", "loyal", True, destinations=("mail",)))
    assert [(call["type"], call["userId"], call["traits"]) for call in calls] == [
        ("identify", "u1", {"email": "jane@example.com", "loyal": True}),
        ("identify", "u1", {"email": "jane@work.example", "loyal": True}),
    ]
    for call in calls:
        assert call["integrations"] == {"All": False, "mail": True}
        assert call["timestamp"] == "2023-11-14T22:13:20Z"
        assert call["context"]["personas"] == {  # type: ignore[index]
            "computation_class": "audience",
            "computation_id": "aud_loyal",
            "computation_key": "loyal",
            "namespace": "spa_default",
            "space_id": "spa_default",
        }


def test_track_names_the_change_and_has_the_email_in_the_context() -> None:
    enter, *_ = told(JANE, Told("audience", "loyal", True, mode="track", extra=("plan", "none")))
    assert enter["event"] == "Audience Entered"
    assert enter["properties"] == {"audience_key": "loyal", "loyal": True, "plan": "gold"}
    assert enter["context"]["traits"] == {"email": "jane@example.com"}  # type: ignore[index]
    leave, *_ = told(JANE, Told("audience", "loyal", False, mode="track"))
    assert leave["event"] == "Audience Exited"
    assert leave["properties"] == {"audience_key": "loyal", "loyal": False}
    computed, *_ = told(JANE, Told("trait", "orders", 3, mode="track"))
    assert computed["event"] == "Trait Computed"
    assert computed["properties"] == {"trait_key": "orders", "orders": 3}


def test_somebody_without_user_id_is_told_by_anonymous_id_or_email() -> None:
    assert addresses([("anonymous_id", "a1"), ("anonymous_id", "a2")]) == [
        ("anonymousId", "a1", None),
        ("anonymousId", "a2", None),
    ]
    assert addresses([("email", "e@x")]) == [("userId", "e@x", "e@x")]
    assert addresses([("ios.id", "i")]) == []


def test_only_what_concerns_a_new_id() -> None:
    one = Told("audience", "loyal", True)
    new = told(JANE, one, only=(("email", "jane@work.example"),))
    assert [call["traits"]["email"] for call in new] == ["jane@work.example"]  # type: ignore[index]
    assert told(JANE, one, only=(("anonymous_id", "a1"),)) == []
    assert len(told(JANE, one, only=(("user_id", "u1"),))) == 2


def test_message_ids_follow_from_what_is_told_and_when() -> None:
    one = Told("audience", "loyal", True)

    def ids(turn: int, what: Told = one) -> list[str]:
        return [each.message_id for each in messages(JANE, what, turn, NOW)]

    assert ids(1) == ids(1)
    every = [
        *ids(1),
        *ids(2),
        *ids(1, Told("audience", "other", True)),
        *ids(1, Told("trait", "loyal", 1)),
    ]
    assert len(set(every)) == len(every) == 8
