"""The mapping language: documents → app events, by rules in YAML. docs/MAPPING.md is its manual.

parse.py        text of an expression → tree (syntax.py)
nodes.py        values of the YAML → constants, expressions, structures
transforms.py   the closed set of transforms (texts, numbers, times, lists)
evaluation.py   tree → closure
structure.py    structures → closures, and which paths each part is made from
rules.py        a rule: its condition, and the event that it makes
compiling.py    a mapping as a whole, and what is wrong with it
"""

from relay.sources.mapping.compiling import CompiledMapping, compile_mapping, judge_mapping
from relay.sources.mapping.faults import MappingCode
from relay.sources.mapping.rules import Mapped, Part

__all__ = ["CompiledMapping", "Mapped", "MappingCode", "Part", "compile_mapping", "judge_mapping"]
