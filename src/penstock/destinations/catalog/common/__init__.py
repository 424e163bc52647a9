"""What several tools need alike: hashing of personal data, names of places."""
