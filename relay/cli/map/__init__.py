"""`relay map`: what becomes of records, and the tools for mappings."""
