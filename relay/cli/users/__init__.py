"""`relay users`: profiles and choices of users, by hand."""
