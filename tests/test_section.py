"""What is asked for each event goes by a plain object, which says what the section says."""

from functools import cached_property

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from relay.section import Section, bound
from relay.stream.decoding import DecodingPolicy
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy


class Inner(Section):
    """A section in a section."""

    words: list[str] = Field(default_factory=list)

    @cached_property
    def folded(self) -> frozenset[str]:
        """Computed of a field."""
        return frozenset(word.casefold() for word in self.words)


class Outer(Section):
    """Has one."""

    number: int = 1
    inner: Inner = Field(default_factory=Inner)


@given(st.integers(), st.lists(st.text()))
def test_it_has_the_fields_and_what_is_computed_of_them_at_any_depth(number, words):
    section = Outer(number=number, inner=Inner(words=words))
    plain = bound(section)
    assert plain.number == section.number
    assert plain.inner.words == section.inner.words
    assert plain.inner.folded == section.inner.folded


def test_python_finds_its_attributes_without_asking_a_model():
    for plain in (bound(DecodingPolicy()), bound(MappingPolicy()).identity.guard):
        assert not hasattr(type(plain), "__getattr__")


def test_it_does_not_change():
    plain = bound(Outer())
    with pytest.raises(AttributeError, match="number"):
        plain.number = 2


def test_it_does_not_show_its_values():
    assert "1000" not in repr(bound(IdentityPolicy(default_compartment_id="1000")))
