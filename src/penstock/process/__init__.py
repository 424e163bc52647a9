"""The step from ``received`` to ``events``: each event once, in the order it was received."""
