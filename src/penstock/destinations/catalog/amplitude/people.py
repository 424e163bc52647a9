"""What an event says about its person, in the shape that Amplitude keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.destinations.catalog.amplitude.user_agents import told_by
from penstock.destinations.contract import Json, Payload

__all__ = ["by_user_agent", "campaign", "joined", "set_platform"]

Properties = dict[str, Json]


def by_user_agent(payload: Payload) -> Properties:
    """What the user agent tells, if it is to be read, and the raw text, if that is wanted."""
    agent = payload.get("userAgent")
    told: Properties = {}
    if agent and payload.get("userAgentParsing"):
        told |= told_by(agent, payload.get("userAgentData") or {})
    if agent and payload.get("includeRawUserAgent"):
        told["user_agent"] = agent
    return told


def set_platform(event: Properties, library: str | None) -> None:
    """Writes the platform as Amplitude does; events of a browser have none and get Web."""
    if event.get("platform"):
        text = re.sub("ios", "iOS", event["platform"], count=1, flags=re.I)
        event["platform"] = re.sub("android", "Android", text, count=1, flags=re.I)
    elif library == "analytics.js":
        event["platform"] = "Web"


def campaign(payload: Payload) -> list[Properties]:
    """The campaign and the referrer as properties to set now, and to set once as the first."""
    told = []
    utm = payload.get("utm_properties")
    if utm is not None:
        told.append({"$set": utm, "$setOnce": {f"initial_{key}": utm[key] for key in utm}})
    referrer = payload.get("referrer")
    if referrer:
        told.append({"$set": {"referrer": referrer}, "$setOnce": {"initial_referrer": referrer}})
    return told if utm or referrer else []


def joined(*parts: Mapping[str, Json]) -> Properties:
    """All properties, later ones winning; what is to be set is joined within."""
    whole: Properties = {}
    for part in parts:
        for key, value in part.items():
            if key in ("$set", "$setOnce") and isinstance(value, dict):
                whole[key] = {**whole.get(key, {}), **value}
            else:
                whole[key] = value
    return whole
