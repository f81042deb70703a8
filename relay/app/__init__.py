"""The composition root: settings in; roads built, joined and run until a stop."""
