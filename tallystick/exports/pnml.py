"""PNML: the life of a task as a Petri net, so that others can check histories without any code of this project.

Source of the format: ISO/IEC 15909-2, place/transition nets, http://www.pnml.org. The final marking and the mark of
silent transitions are what ProM adds to it, and what other programs read.
"""

from collections.abc import Iterator
from typing import BinaryIO

from tallystick.exports.net import BEGIN, END, Transition, lifecycle_net
from tallystick.exports.source import Source
from tallystick.exports.xml_text import ascii_bytes, xml_text
from tallystick.ledger.errors import InvalidInput

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<pnml xmlns="http://www.pnml.org/version-2009/grammar/pnml">
 <net id="task-lifecycle" type="http://www.pnml.org/version-2009/grammar/ptnet">
  <name><text>The life of a task</text></name>
  <page id="page">"""

_TAIL = f"""\
  </page>
  <finalmarkings><marking><place idref="{END}"><text>1</text></place></marking></finalmarkings>
 </net>
</pnml>"""

_SILENT = '<toolspecific tool="ProM" version="6.4" activity="$invisible$"/>'


def write(source: Source, out: BinaryIO) -> None:
    """Write the net: it is the same for every ledger. Raises `InvalidInput` when something of one is selected."""
    for name, value in source.selection.said().items():
        raise InvalidInput(name, value, "nothing with pnml: the net is the same for every ledger")
    out.write(ascii_bytes("\n".join((_HEAD, *_lines(), _TAIL, ""))))


def _lines() -> Iterator[str]:
    net = lifecycle_net()
    for place in net.places:
        marking = "<initialMarking><text>1</text></initialMarking>" if place == BEGIN else ""
        yield f'   <place id="{place}"><name><text>{place}</text></name>{marking}</place>'
    for each in net.transitions:
        name = xml_text(each.activity or each.id)
        silent = _SILENT if each.activity is None else ""
        yield f'   <transition id="{each.id}"><name><text>{name}</text></name>{silent}</transition>'
    for each in net.transitions:
        yield from _arcs(each)


def _arcs(each: Transition) -> Iterator[str]:
    for number, place in enumerate(each.takes, 1):
        yield f'   <arc id="{each.id}.takes{number}" source="{place}" target="{each.id}"/>'
    for number, place in enumerate(each.gives, 1):
        yield f'   <arc id="{each.id}.gives{number}" source="{each.id}" target="{place}"/>'
