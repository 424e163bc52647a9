"""From clean events to typed tables that a marketer can query."""
