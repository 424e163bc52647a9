"""The collector: the tracking API over HTTP, from request to durable event."""
