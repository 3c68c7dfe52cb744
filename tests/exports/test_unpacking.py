"""What is no bundle is refused, whoever made it, and nothing is written."""

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest

from tallystick import InvalidInput
from tallystick.exports import manifest
from tallystick.ledger.limits import BUNDLE_BYTES_MAX, BUNDLE_EVENTS_MAX
from tests.exports.evidence import EVENTS, bundled, contents, manifest_of, refused, verified
from tests.exports.parts import logged
from tests.notary.parts import Place


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("checkpoint"), os.mkfifo, lambda path: path.mkdir()])
def test_links_pipes_and_other_folders_are_refused(place: Place, bundle: Path, make: Callable[[Path], None]) -> None:
    make(bundle / "more")

    assert "more: it is no file" in refused(place, bundle)


def test_a_link_in_the_place_of_a_file_or_a_folder_is_refused(place: Place, bundle: Path, tmp_path: Path) -> None:
    (bundle / "proofs").rename(tmp_path / "proofs")
    (bundle / "proofs").symlink_to(tmp_path / "proofs")
    assert "proofs: it is no file" in refused(place, bundle)


def test_what_is_not_there_or_is_no_bundle_is_a_wrong_use_or_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="bundle"):
        verified(place, tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="a folder, or a zip"):
        verified(place, tmp_path / "pipe")
    (tmp_path / "text").write_text("no zip" * 100, "utf-8")
    assert "no whole zip" in refused(place, tmp_path / "text")


def zipped(bundle: Path, path: Path, *more: tuple[str | ZipInfo, bytes]) -> None:
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, content in [*contents(bundle).items(), *more]:
            archive.writestr(name, content)


def test_a_zip_that_others_made_of_the_same_files_is_as_good(place: Place, bundle: Path, tmp_path: Path) -> None:
    zipped(bundle, tmp_path / "again.zip")

    assert len(EVENTS) == verified(place, tmp_path / "again.zip").events


def test_a_zip_that_was_cut_is_refused_wherever(place: Place, bundle: Path, tmp_path: Path) -> None:
    zipped(bundle, tmp_path / "a.zip")
    whole = (tmp_path / "a.zip").read_bytes()
    for length in random.Random(7).sample(range(len(whole)), 40):
        (tmp_path / "a.zip").write_bytes(whole[:length])
        assert refused(place, tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "proofs/../../outside", "a\\b", "proofs/"])
def test_paths_that_lead_elsewhere_are_refused_and_nothing_is_written(
    place: Place, bundle: Path, tmp_path: Path, name: str
) -> None:
    zipped(bundle, tmp_path / "a.zip", (name, b"" if name.endswith("/") else b"x"))
    before = sorted(tmp_path.rglob("*"))

    if name == "proofs/":  # which other programs write for a folder
        assert verified(place, tmp_path / "a.zip").events
    else:
        assert refused(place, tmp_path / "a.zip")
    assert before == sorted(tmp_path.rglob("*"))
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize("name", ["", "\0checkpoint"])
def test_an_entry_without_a_name_is_refused(place: Place, bundle: Path, tmp_path: Path, name: str) -> None:
    zipped(bundle, tmp_path / "a.zip", ("x" * max(len(name), 1), b"x"))
    whole = (tmp_path / "a.zip").read_bytes()
    start = whole.rindex(b"PK\x01\x02")  # of the last entry of the directory, 46 bytes before its name
    changed = bytearray(whole)
    if name:
        changed[start + 46 : start + 46 + len(name)] = name.encode()
    else:
        changed[start + 28 : start + 32] = b"\0\0\1\0"  # its name is the first of its other fields
    (tmp_path / "a.zip").write_bytes(changed)

    assert "has no name" in refused(place, tmp_path / "a.zip")


def test_links_in_a_zip_and_names_that_stand_there_twice_are_refused(
    place: Place, bundle: Path, tmp_path: Path
) -> None:
    link = ZipInfo("more")
    link.external_attr = 0o120777 << 16
    zipped(bundle, tmp_path / "link.zip", (link, b"checkpoint"))
    assert "more: it is no file" in refused(place, tmp_path / "link.zip")
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(bundle, tmp_path / "twice.zip", (manifest.CHECKPOINT, b"x"))
    assert "twice" in refused(place, tmp_path / "twice.zip")


def test_a_file_that_unpacks_to_more_than_the_manifest_says_is_refused(place: Place, tmp_path: Path) -> None:
    bundled(logged(EVENTS), place, tmp_path / "a")
    sound = manifest_of(tmp_path / "a").files[manifest.EVENTS].bytes
    (tmp_path / "a" / manifest.EVENTS).write_bytes(bytes(64 << 20))
    with ZipFile(tmp_path / "bomb.zip", "w", 8) as archive:
        for name, content in contents(tmp_path / "a").items():
            archive.writestr(name, content)

    assert sound < 1 << 20
    assert (tmp_path / "bomb.zip").stat().st_size < 1 << 20
    assert f"{manifest.EVENTS}: it has other bytes than the manifest says: it is longer" in refused(
        place, tmp_path / "bomb.zip"
    )


def test_a_zip_that_says_it_unpacks_to_more_than_a_bundle_may_have_is_refused(
    place: Place, bundle: Path, tmp_path: Path
) -> None:
    zipped(bundle, tmp_path / "a.zip")
    whole = bytearray((tmp_path / "a.zip").read_bytes())
    at = whole.index(b"PK\x01\x02") + 24  # the size that the first entry of the directory unpacks to
    whole[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(whole)

    assert f"at most {BUNDLE_BYTES_MAX} bytes" in refused(place, tmp_path / "a.zip")


def test_a_zip_with_more_files_than_a_bundle_may_have_is_refused_before_they_are_looked_at(
    place: Place, tmp_path: Path
) -> None:
    with ZipFile(tmp_path / "many.zip", "w", ZIP_STORED) as archive:
        for number in range(BUNDLE_EVENTS_MAX + 10):
            archive.writestr(f"proofs/{number}", b"")

    assert f"it has {BUNDLE_EVENTS_MAX + 10} entries" in refused(place, tmp_path / "many.zip")


def test_a_zip_whose_large_directory_stands_beside_a_small_one_is_refused(
    place: Place, bundle: Path, tmp_path: Path
) -> None:
    zipped(bundle, tmp_path / "a.zip")
    whole = (tmp_path / "a.zip").read_bytes()
    end = len(whole) - 22  # of the directory, as zips end that are not large
    count, size, start = struct.unpack("<10xHLL2x", whole[end:])
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    small = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, start, 0)
    (tmp_path / "a.zip").write_bytes(whole[:end] + large + locator + small)

    assert "it has two directories" in refused(place, tmp_path / "a.zip")


@pytest.mark.parametrize("compression", [ZIP_BZIP2, ZIP_LZMA])
def test_a_zip_that_is_compressed_in_another_way_is_refused(
    place: Place, bundle: Path, tmp_path: Path, compression: int
) -> None:
    with ZipFile(tmp_path / "a.zip", "w", compression) as archive:
        for name, content in contents(bundle).items():
            archive.writestr(name, content)

    assert "compressed in a way that no bundle has" in refused(place, tmp_path / "a.zip")
