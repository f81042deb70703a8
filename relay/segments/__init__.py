"""The road of one segment: export → compare → files → import, with a ledger to resume from."""
