"""`relay segments`: audience segments from the command line."""
