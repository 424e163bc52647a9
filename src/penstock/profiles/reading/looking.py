"""A stored person, as a condition looks at them now."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.profiles.language.definitions import AudienceSetup
from penstock.profiles.language.reading import condition_of
from penstock.profiles.reading.people import Person
from penstock.profiles.signals.conditions import Compiled, Look, compile_condition
from penstock.profiles.signals.explaining import Explained, explain

__all__ = ["explain_audience", "folded", "look_at"]


def folded(compiled: Compiled, states: Sequence[Mapping[str, Any]], now_us: int) -> dict[str, Any]:
    """The signals of a condition, of several segments as one, brought up to now.

    The given states stay as they are.
    """
    found: dict[str, Any] = {}
    for one in compiled.signals:
        mine = [copy.deepcopy(state[one.key]) for state in states if one.key in state]
        for state in mine:
            one.keep.settle(state, now_us)
        if mine:
            found[one.key] = mine[0] if len(mine) == 1 else one.keep.combine(mine)
    return found


def look_at(compiled: Compiled, person: Person, now_us: int) -> Look:
    """Audiences and computed traits are those that were concluded last."""
    signals = folded(compiled, [state.signals for state in person.states], now_us)
    standing = person.standing
    return Look(signals, person.values, standing.traits, standing.audiences.keys())


def explain_audience(setup: AudienceSetup, person: Person, now_us: int) -> Explained:
    """Why a person is in an audience that is live, or is not."""
    condition = condition_of(setup.when)
    found = explain(condition, look_at(compile_condition(condition), person, now_us), now_us)
    if setup.include_anonymous or person.known:
        return found
    reason = Explained("has a user_id, email, android.idfa or ios.idfa", False)
    return Explained(f"known, and {found.condition}", False, of=[reason, found])
