"""What every format adapter promises."""

from __future__ import annotations

import hashlib
import pickle
import random
from pathlib import Path

import numpy as np
import pytest

from cadml_core.contracts.formats import LENGTH_UNITS, FormatAdapter, MeshRequest, ReadLimits
from cadml_core.documents.document import CadDocument, decode_summary, encode_summary
from cadml_core.errors import LimitExceeded, MalformedFile, UnsupportedContent

HEAD = 4096
SEED = 20
REFUSALS = (MalformedFile, UnsupportedContent, LimitExceeded)


def heads(sample: bytes) -> list[bytes]:
    """Return beginnings of files for a sniff: nothing, noise, other formats, truncated samples."""
    noise = random.Random(SEED)
    return [
        b"",
        b"\x00" * HEAD,
        noise.randbytes(HEAD),
        b"PK\x03\x04" + noise.randbytes(60),
        "ﬀ text that is not ASCII, Ω".encode(),
        sample[:1],
        sample[: len(sample) // 2][:HEAD],
        sample[:HEAD][::-1],
    ]


class FormatAdapterContract:
    """Inherit, and provide the fixtures ``adapter`` and ``sample`` (the path of a good file)."""

    @pytest.fixture
    def adapter(self) -> FormatAdapter:
        """Return the adapter under test."""
        raise NotImplementedError("override the fixture `adapter`")

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        """Write a good file that holds geometry and return its path."""
        raise NotImplementedError("override the fixture `sample`")

    def test_satisfies_the_protocol(self, adapter: FormatAdapter) -> None:
        """It has every member of the contract, and suffixes in the form that detection compares."""
        assert isinstance(adapter, FormatAdapter)
        assert adapter.suffixes, "an adapter claims at least one suffix"
        for suffix in adapter.suffixes:
            assert suffix.startswith(".")
            assert suffix == suffix.lower()
        assert all("/" in media_type for media_type in adapter.media_types)
        assert isinstance(adapter.version, str)
        assert adapter.version

    def test_travels_to_the_readers(self, adapter: FormatAdapter) -> None:
        """It can be pickled: files are read and features extracted in other processes."""
        assert pickle.loads(pickle.dumps(adapter)).name == adapter.name

    def test_recognises_its_own(self, adapter: FormatAdapter, sample: Path) -> None:
        """The sniff accepts a good file."""
        assert adapter.sniff(sample.read_bytes()[:HEAD]) is True

    def test_sniff_never_raises(self, adapter: FormatAdapter, sample: Path) -> None:
        """The sniff returns a bool whatever the bytes are, and rejects an empty head and noise."""
        answers = [adapter.sniff(head) for head in heads(sample.read_bytes())]
        assert all(isinstance(answer, bool) for answer in answers)
        assert answers[0] is False, "an empty head is no format"
        assert answers[2] is False, "random bytes are no format"

    def test_reads_a_good_file(self, adapter: FormatAdapter, sample: Path) -> None:
        """The document names its format and has geometry."""
        document = adapter.read(sample, ReadLimits())
        assert isinstance(document, CadDocument)
        assert document.format == adapter.name
        assert not document.empty
        assert document.entity_count > 0
        assert all(count >= 0 for count in document.entity_counts.values())

    def test_reads_the_same_twice(self, adapter: FormatAdapter, sample: Path) -> None:
        """Reading is deterministic and leaves the file as it was."""
        before = hashlib.sha256(sample.read_bytes()).digest()
        first, second = adapter.read(sample, ReadLimits()), adapter.read(sample, ReadLimits())
        assert encode_summary(first) == encode_summary(second)
        assert hashlib.sha256(sample.read_bytes()).digest() == before

    def test_summary_survives_storage(self, adapter: FormatAdapter, sample: Path) -> None:
        """The document summary is JSON and comes back equal."""
        document = adapter.read(sample, ReadLimits())
        assert decode_summary(encode_summary(document)) == document.without_mesh()

    def test_makes_a_mesh_only_when_asked(self, adapter: FormatAdapter, sample: Path) -> None:
        """Tessellation costs time: without a request there is none."""
        assert adapter.read(sample, ReadLimits()).mesh is None

    @pytest.mark.parametrize("most", [200_000, 10])
    def test_a_mesh_is_sound_and_within_its_bound(
        self, adapter: FormatAdapter, sample: Path, most: int
    ) -> None:
        """Triangles are int64 and name vertices that are there; vertices are float64 and finite.

        There are at most as many triangles as wanted, or the file is refused. A format without surfaces
        has no mesh.
        """
        try:
            mesh = adapter.read(sample, ReadLimits(mesh=MeshRequest(max_triangles=most))).mesh
        except LimitExceeded:
            return
        if mesh is None:
            return
        assert mesh.vertices.dtype == np.float64
        assert mesh.triangles.dtype == np.int64
        assert mesh.vertices.shape == (len(mesh.vertices), 3)
        assert mesh.triangles.shape == (len(mesh.triangles), 3)
        assert np.isfinite(mesh.vertices).all()
        assert len(mesh.triangles) <= most
        assert ((mesh.triangles >= 0) & (mesh.triangles < len(mesh.vertices))).all()

    def test_a_stated_unit_scales_all_or_nothing(self, adapter: FormatAdapter, sample: Path) -> None:
        """An adapter that takes a stated unit converts by it and names it; others ignore it.

        Where the file states its own unit, that one counts.
        """
        plain = adapter.read(sample, ReadLimits())
        inches = adapter.read(sample, ReadLimits(unit=LENGTH_UNITS["in"]))
        used = plain.unit is None and inches.unit is not None
        assert inches.unit == ("inch" if used else plain.unit)
        assert plain.bounding_box is not None
        assert inches.bounding_box is not None
        expected = [extent * (25.4 if used else 1.0) for extent in plain.bounding_box.extents]
        assert inches.bounding_box.extents == pytest.approx(expected)

    def test_reads_any_name(self, adapter: FormatAdapter, sample: Path) -> None:
        """Blanks and letters beyond ASCII in a path make no difference."""
        folder = sample.parent / "Zeichnungen für Ω"
        folder.mkdir()
        renamed = folder / f"Teil № 1{sample.suffix}"
        renamed.write_bytes(sample.read_bytes())
        expected = adapter.read(sample, ReadLimits())
        assert encode_summary(adapter.read(renamed, ReadLimits())) == encode_summary(expected)

    @pytest.mark.parametrize("kept", [0, 1, 0.1, 0.5, 0.9])
    def test_a_cut_file_is_refused_or_read(self, adapter: FormatAdapter, sample: Path, kept: float) -> None:
        """A truncated file is read, or refused with a message: no other exception is raised."""
        data = sample.read_bytes()
        sample.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
        try:
            document = adapter.read(sample, ReadLimits())
        except REFUSALS as refusal:
            if not refusal.message:
                pytest.fail("the refusal has no message")
        else:
            assert isinstance(document, CadDocument)

    def test_noise_is_refused(self, adapter: FormatAdapter, sample: Path) -> None:
        """Random bytes are refused with a message."""
        sample.write_bytes(random.Random(SEED).randbytes(2000))
        with pytest.raises(REFUSALS) as refusal:
            adapter.read(sample, ReadLimits())
        assert refusal.value.message
