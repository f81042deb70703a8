"""What may go wrong around a schema that is not the schema's fault."""


class CompilerFailed(Exception):
    """The compiler could not run; the schema may be fine."""
