"""Record bytes → AppEvent, or the reason why not. A file per input format."""
