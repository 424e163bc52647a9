"""Browser and version, read from a user agent as Mixpanel's own library reads them.

Source: https://github.com/mixpanel/mixpanel-js, src/utils.js.
"""

from __future__ import annotations

import re

__all__ = ["browser_of", "version_of"]

_SIGNS: tuple[tuple[str, str], ...] = (
    (r"\sOPR/.*Mini|Mini.*\sOPR/", "Opera Mini"),
    (r"\sOPR/", "Opera"),
    (r"(?i:BlackBerry|PlayBook|BB10)", "BlackBerry"),
    (r"IEMobile|WPDesktop", "Internet Explorer Mobile"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Edge|Edg/", "Microsoft Edge"),
    (r"FBIOS", "Facebook Mobile"),
    (r"Chrome", "Chrome"),
    (r"CriOS", "Chrome iOS"),
    (r"UCWEB|UCBrowser", "UC Browser"),
    (r"FxiOS", "Firefox iOS"),
    (r"Safari.*iPhone|iPhone.*Safari", "Mobile Safari"),
    (r"Safari", "Safari"),
    (r"Android", "Android Mobile"),
    (r"Konqueror", "Konqueror"),
    (r"Firefox", "Firefox"),
    (r"MSIE|Trident/", "Internet Explorer"),
    (r"Gecko", "Mozilla"),
)
"""The first that is found tells the browser."""

_NUMBER = r"(\d+(?:\.\d+)+)"
_BEFORE_VERSION = {
    "Internet Explorer Mobile": "rv:",
    "Microsoft Edge": "Edge?/",
    "Chrome": "Chrome/",
    "Chrome iOS": "CriOS/",
    "UC Browser": "(?:UCBrowser|UCWEB)/",
    "Safari": "Version/",
    "Mobile Safari": "Version/",
    "Opera": "(?:Opera|OPR)/",
    "Firefox": "Firefox/",
    "Firefox iOS": "FxiOS/",
    "Konqueror": "Konqueror:",
    "BlackBerry": "BlackBerry ",
    "Android Mobile": r"android\s",
    "Samsung Internet": "SamsungBrowser/",
    "Internet Explorer": "(?:rv:|MSIE )",
    "Mozilla": "rv:",
}


def browser_of(user_agent: str) -> str:
    """Name of the browser; empty when it is none that is known."""
    return next((name for sign, name in _SIGNS if re.search(sign, user_agent, re.DOTALL)), "")


def version_of(user_agent: str) -> str | None:
    """Version of the browser, such as ``126.0.0.0``."""
    before = _BEFORE_VERSION.get(browser_of(user_agent))
    found = before and re.search(before + _NUMBER, user_agent)
    return found[1] if found else None
