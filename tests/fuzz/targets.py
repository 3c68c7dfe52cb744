"""All targets, by their names."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.fuzz import archives, beside, exchanged, outside, pages, proofs, records
from tests.fuzz.target import Target

ALL = (
    *records.TARGETS,
    *beside.TARGETS,
    *archives.TARGETS,
    *proofs.TARGETS,
    *exchanged.TARGETS,
    *outside.TARGETS,
    *pages.TARGETS,
)

TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target for target in ALL})
assert len(TARGETS) == len(ALL), "two targets have one name"
