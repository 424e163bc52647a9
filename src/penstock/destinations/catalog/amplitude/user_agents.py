"""Device, operating system and browser version, read from a user agent for Amplitude.

The names are those of Amplitude's own parser (https://github.com/amplitude/ua-parser-js), for
browsers and devices in common use; of others only the operating system is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["told_by"]

_SYSTEMS: tuple[tuple[str, str], ...] = (
    (r"windows phone", "Windows Phone"),
    (r"windows (?:nt )?[\d.]+", "Windows"),
    (r"tizen", "Tizen"),
    (r"(?:iphone|ipad|ipod).*os [\w]+ like mac", "iOS"),
    (r"\bcros\b", "Chromium OS"),
    (r"android", "Android"),
    (r"mac os x|macintosh", "Mac OS"),
    (r"ubuntu", "Ubuntu"),
    (r"fedora", "Fedora"),
    (r"debian", "Debian"),
    (r"linux", "Linux"),
)
_BROWSERS: tuple[tuple[str, str], ...] = (
    (r"\bopr/(\d+)", "Opera"),
    (r"\bedg(?:e|a|ios)?/(\d+)", "Edge"),
    (r"samsungbrowser/(\d+)", "Samsung Browser"),
    (r"fbav/(\d+)", "Facebook"),
    (r"silk/(\d+)", "Silk"),
    (r"(?:chrome|crios)/v?(\d+)", "Chrome"),
    (r"(?:firefox|fxios)/(\d+)", "Firefox"),
    (r"version/(\d+)[\d.]* .*safari", "Safari"),
    (r"trident.*rv:(\d+)|msie (\d+)", "IE"),
)
_DEVICES: tuple[tuple[str, str | None, str | None], ...] = (
    (r"\b(ipad\d+,\d+)", "Apple", "tablet"),
    (r"\b(iphone\d+,\d+)", "Apple", "mobile"),
    (r"\((ipad)", "Apple", "tablet"),
    (r"\((iphone|ipod touch)", "Apple", "mobile"),
    (r"(macintosh);", "Apple", None),
    (r"\b(sm-[tx][a-z\d-]+)", "Samsung", "tablet"),
    (r"\b((?:sm-|gt-|sch-|sgh-)[a-z\d-]+)", "Samsung", "mobile"),
    (r"(pixel (?:c|tablet))\b", "Google", "tablet"),
    (r"(pixel[\w ]+) build/", "Google", "mobile"),
    (r"\b(redmi[\w -]*?|poco[\w ]+?|mi \w[\w ]*?)(?: build|\))", "Xiaomi", "mobile"),
    (r"; ([\w-]+) build/huawei", "Huawei", "mobile"),
    (r"\b(kf[a-z]{2,})\b", "Amazon", "tablet"),
    (r"\b(moto[\w() -]*?|xt\d{3,4})(?: build|\))", "Motorola", "mobile"),
    (r"oneplus (a\d+)", "OnePlus", "mobile"),
    (r"\b(lm-?[a-z\d]+|lg-[\w-]+)", "LG", "mobile"),
    (r"nokia[- ]?([\w.-]+)", "Nokia", "mobile"),
    (r"\b(cph\d{4})", "OPPO", "mobile"),
    (r"()\(android [\d.]+; mobile;", None, "mobile"),
    (r"()\(android [\d.]+; tablet;", None, "tablet"),
    (r"android [\d.]+; ([^)]+?)(?: build|\)).+mobile", None, "mobile"),
    (r"android [\d.]+; ([^)]+?)(?: build|\))", None, "tablet"),
)
"""The first that is found tells the device: (model, maker, kind)."""


def told_by(agent: str, hints: Mapping[str, str]) -> dict[str, str]:
    """os_name, os_version, device_manufacturer, device_model and device_type, as far as known.

    Amplitude takes the browser's version as that of the operating system; ``hints`` (model,
    platformVersion) are what the browser said itself.
    """
    system = next((name for sign, name in _SYSTEMS if re.search(sign, agent, re.I)), None)
    browser, version = _browser(agent)
    model, maker, kind = _device(agent)
    told = {
        "os_name": system or browser,
        "os_version": hints.get("platformVersion") or version,
        "device_manufacturer": maker,
        "device_model": hints.get("model") or model or system,
        "device_type": kind,
    }
    return {key: value for key, value in told.items() if value}


def _browser(agent: str) -> tuple[str | None, str | None]:
    for sign, name in _BROWSERS:
        found = re.search(sign, agent, re.I)
        if found:
            return name, next(filter(None, found.groups()), None)
    return None, None


def _device(agent: str) -> tuple[str | None, str | None, str | None]:
    for sign, maker, kind in _DEVICES:
        found = re.search(sign, agent, re.I)
        if found:
            return found[1], maker, kind
    return None, None, None
