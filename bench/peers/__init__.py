"""Programs written on other frameworks, in an environment of their own; see bench/contenders.py."""
