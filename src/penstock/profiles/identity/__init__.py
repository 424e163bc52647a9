"""From the ids on an event to the person it is of."""
