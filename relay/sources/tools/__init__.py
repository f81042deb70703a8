"""What helps to write a mapping: tests, lint, explanations, comparisons. Pure; the CLI prints them.

trace.py        the value of each expression of a mapping on a document
testing.py      records and what must become of them
lint.py         what a mapping probably does not mean
comparing.py    what two mappings make of the same records
"""
