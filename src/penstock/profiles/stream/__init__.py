"""From clean events to profiles: resolves, remembers, evaluates, and tells what changed."""
