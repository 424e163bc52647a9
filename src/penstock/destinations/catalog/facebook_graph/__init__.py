"""What Facebook's tools share: the address, the login, people and server events."""
