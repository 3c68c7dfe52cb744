"""Exports: what a ledger has, written in a form that other programs read.

A format is a module of this package and an entry in `formats.FORMATS`, which names it without loading it. The module
has one function:

    def write(source: Source, out: BinaryIO) -> None

`source` (`source.Source`) is the ledger as of one moment, and what of it was selected. A writer reads from it

- `source.events()`: every selected event in the order of the log, as `Event`; what cannot be read comes in its place
  as `Damaged`, what was deleted with its archive as `Deleted`. Neither may be left out: a format says so in a line, a
  row or an element of its own;
- `source.entries()`: the same, each with the bytes that are stored;
- `source.histories(flows=…)`: all that the log has of each selected task, and flow, in the order of their ids;
- `source.tasks()`: the records that lists show, newest first, as of the moment of reading, and then `source.damages()`,
  what of the log they lack;
- `source.selection`, `source.size`, `source.root_hash`, `source.identity`, `source.made_at` for what a file says of
  itself.

All of them are iterators that read in slices: a writer that keeps nothing needs as little memory for millions of
events as for ten. `source` counts what went through it and tells the progress, so a writer counts nothing.

`out` takes bytes, in order, and cannot be read or sought. What a writer writes need not be flushed. It raises
`TallystickError` for what cannot be exported; then nothing is left of the file. A library that only one format needs
is imported in its module, and named in the format's `library`, so that its absence has an error that says what to
install.

What needs several files is in `formats.FOLDERS`, and has functions of its own: `tallystick.tiles.write_tiles` for a web
server, `bundle.write_bundle` for evidence, which `evidence.verify_bundle` verifies without a ledger.
"""
