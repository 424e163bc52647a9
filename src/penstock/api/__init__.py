"""The management API over HTTP: accounts, workspace, queries, and what the monitor knows."""
