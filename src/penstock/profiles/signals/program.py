"""All definitions of a space, compiled once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from penstock.errors import ConfigurationError
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.language.reading import condition_of
from penstock.profiles.signals.conditions import NEVER, Check, Look, compile_condition
from penstock.profiles.signals.signal import Observer, Signal
from penstock.profiles.signals.traits import Valued, compile_trait

__all__ = ["Evaluation", "Name", "Program", "View"]

_AUDIENCE, _TRAIT = "audience", "trait"
Name = tuple[str, str]
"""(``audience`` or ``trait``, slug)."""


class View(msgspec.Struct, gc=False):
    """A profile, as definitions look at it."""

    signals: Mapping[str, Any]
    """By key, of all its segments together; settled."""
    traits: Mapping[str, Any]
    """Custom traits by name."""
    known: bool
    """Whether it has an id that names a person."""


class Evaluation(msgspec.Struct, gc=False):
    """What holds of a profile now."""

    traits: Mapping[str, Any]
    """Computed traits that have a value, by slug."""
    audiences: Collection[str]
    """Slugs of the audiences it is in."""
    next_us: int | None
    """When time alone may change something, of what was evaluated; None: never."""
    changed: Collection[Name] | None = None
    """What may be other than before; None: anything."""


class _Item(msgspec.Struct):
    name: Name
    signals: frozenset[str]
    """Its own."""
    refers: frozenset[Name]
    traits: frozenset[str]
    """Custom traits it looks at."""
    check: Check | None = None
    value: Valued | None = None
    anonymous: bool = True


class Program:
    """Audiences and computed traits, in an order in which each comes after what it refers to."""

    def __init__(
        self, traits: Mapping[str, TraitSetup], audiences: Mapping[str, AudienceSetup]
    ) -> None:
        """Raises ConfigurationError that names the definition that is wrong."""
        self._signals: dict[str, Signal] = {}
        items: dict[Name, _Item] = {}
        for slug, trait in traits.items():
            if trait.kind != "sql" and trait.level == "user":
                with _place("traits", slug):
                    items[(_TRAIT, slug)] = self._trait(trait)
        for slug, audience in audiences.items():
            if audience.level == "user":
                with _place("audiences", slug):
                    items[(_AUDIENCE, slug)] = self._audience(audience, items, audiences)
        self._items = [items[name] for name in _ordered(items)]
        self._place = {item.name: index for index, item in enumerate(self._items)}
        self._by_signal: dict[str, list[int]] = {}
        self._dependents: list[list[int]] = [[] for _ in self._items]
        for index, item in enumerate(self._items):
            for key in (*item.signals, *(f"trait {name}" for name in item.traits)):
                self._by_signal.setdefault(key, []).append(index)
            for name in item.refers:
                self._dependents[self._place[name]].append(index)
        self._needs = self._all_needs()
        self._near = {key: self._reached_from(key) for key in self._by_signal}
        self.observe = Observer(list(self._signals.values()))
        """Takes an event into the signals of a segment; see ``Observer``."""

    def _trait(self, setup: TraitSetup) -> _Item:
        one, value = compile_trait(setup)
        self._signals[one.key] = one
        return _Item((_TRAIT, setup.slug), frozenset({one.key}), frozenset(), frozenset(),
                     value=value)  # fmt: skip

    def _audience(
        self,
        setup: AudienceSetup,
        items: Mapping[Name, _Item],
        audiences: Mapping[str, AudienceSetup],
    ) -> _Item:
        compiled = compile_condition(condition_of(setup.when))
        for one in compiled.signals:
            self._signals[one.key] = one
        for slug in compiled.audiences:
            if slug not in audiences:
                raise ConfigurationError(f"there is no audience {slug}")
        computed = {name for name in compiled.traits if (_TRAIT, name) in items}
        refers = {(_TRAIT, name) for name in computed}
        refers |= {(_AUDIENCE, slug) for slug in compiled.audiences}
        return _Item(
            (_AUDIENCE, setup.slug),
            frozenset(one.key for one in compiled.signals),
            frozenset(refers),
            frozenset(compiled.traits),
            check=compiled.check,
            anonymous=setup.include_anonymous,
        )

    def _all_needs(self) -> dict[Name, frozenset[str]]:
        needs: dict[Name, frozenset[str]] = {}
        for item in self._items:
            needs[item.name] = item.signals.union(*(needs[name] for name in item.refers))
        return needs

    def _reached_from(self, key: str) -> frozenset[str]:
        """The signals of everything that a change of this one can make be asked."""
        pending, seen = list(self._by_signal[key]), set[int]()
        while pending:
            index = pending.pop()
            if index not in seen:
                seen.add(index)
                pending += self._dependents[index]
        return frozenset().union(*(self._items[index].signals for index in seen))

    # Signals --------------------------------------------------------------------------------

    @property
    def signals(self) -> frozenset[str]:
        """Keys of all signals."""
        return frozenset(self._signals)

    def needs(self, kind: str, slug: str) -> frozenset[str]:
        """Keys of the signals that a definition depends on, through others too."""
        return self._needs.get((kind, slug), frozenset())

    def only(self, keys: Iterable[str]) -> Observer:
        """Observes these signals alone."""
        return Observer([self._signals[key] for key in sorted(keys) if key in self._signals])

    def settle(
        self, states: Mapping[str, Any], now_us: int, touched: Collection[str] | None = None
    ) -> None:
        """Bring the signals of a segment up to now, in place; with ``touched`` as ``evaluate``."""
        keys: Collection[str] = states
        if touched is not None:
            keys = {near for key in touched for near in self._near.get(key, ())}
        for key in keys:
            state, one = states.get(key), self._signals.get(key)
            if state is not None and one is not None:
                one.keep.settle(state, now_us)

    def combine(self, segments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The signals of several segments as those of one person."""
        combined: dict[str, Any] = {}
        for key, one in self._signals.items():
            states = [states[key] for states in segments if key in states]
            if states:
                combined[key] = states[0] if len(states) == 1 else one.keep.combine(states)
        return combined

    # Evaluation -----------------------------------------------------------------------------

    def evaluate(
        self,
        view: View,
        now_us: int,
        touched: Collection[str] | None = None,
        previous: tuple[Mapping[str, Any], Collection[str]] | None = None,
    ) -> Evaluation:
        """What holds now.

        With ``touched`` (keys of signals, and ``trait NAME``) and ``previous`` (traits, audiences)
        only what these can change is looked at; ``next_us`` is then of that alone.
        """
        if touched is None or previous is None:
            computed: dict[str, Any] = {}
            members: set[str] = set()
            todo: Collection[int] = ()
            fresh = True
        else:
            computed, members = dict(previous[0]), set(previous[1])
            todo = {index for key in touched for index in self._by_signal.get(key, ())}
            fresh = False
        look = Look(view.signals, view.traits, computed, members)
        until = NEVER
        changed: list[Name] | None = None
        if fresh:
            for item in self._items:
                until = min(until, _ask(item, look, view.known, now_us)[1])
        else:
            changed = []
            until = self._follow(todo, look, view.known, now_us, changed)
        return Evaluation(computed, members, None if until >= NEVER else until, changed)

    def _follow(
        self, todo: Collection[int], look: Look, known: bool, now_us: int, changes: list[Name]
    ) -> int:
        """Ask these, and what refers to one that changed, in order; tells what changed."""
        until = NEVER
        pending = sorted(todo)
        while pending:
            index = pending.pop(0)
            changed, one = _ask(self._items[index], look, known, now_us)
            until = min(until, one)
            if changed:
                changes.append(self._items[index].name)
                more = {other for other in self._dependents[index] if other not in pending}
                pending = sorted([*pending, *more])
        return until


def _ask(item: _Item, look: Look, known: bool, now_us: int) -> tuple[bool, int]:
    """Evaluate one into ``look``; whether it changed there, and until when it holds."""
    slug = item.name[1]
    if item.value is not None:
        value, until = item.value(look.signals, now_us)
        computed = look.computed
        before = computed.get(slug)
        if value is None:
            computed.pop(slug, None)  # type: ignore[attr-defined]
        else:
            computed[slug] = value  # type: ignore[index]
        return value != before, until
    assert item.check is not None
    holds, until = item.check(look, now_us)
    if not item.anonymous and not known:
        holds, until = False, NEVER
    before = slug in look.members
    if holds and not before:
        look.members.add(slug)
    elif before and not holds:
        look.members.discard(slug)
    return holds != before, until


def _ordered(items: Mapping[Name, _Item]) -> list[Name]:
    sorter = TopologicalSorter({name: item.refers & items.keys() for name, item in items.items()})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        path = " -> ".join(name[1] for name in error.args[1])
        raise ConfigurationError(f"audiences refer to each other in a circle: {path}") from error


@contextmanager
def _place(section: str, slug: str) -> Iterator[None]:
    """Errors name the definition."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{section}.{slug}: {error}") from error
