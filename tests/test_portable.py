"""The metadata of exported files: read without a framework, and never a traceback."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from deblur_keras import portable
from deblur_keras.portable import MissingError, Network, PortableError

NETWORK = Network("mine", 16, 304, 180.5)


def write(path, properties):
    """An ONNX file that holds metadata, a graph, and some numbers."""
    node = helper.make_node("Identity", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, 1, ["N"]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]))
    helper.set_model_props(model, properties)
    path.write_bytes(portable.seal(model.SerializeToString()))
    return path


@pytest.mark.parametrize("network", [NETWORK, Network("ä", 1, None, 3.0), Network("x", 4, 0, 1e9)])
@pytest.mark.parametrize("digest", ["", "a" * 64])
def test_what_is_written_is_read_by_us_and_by_onnx(tmp_path, network, digest):
    properties = portable.metadata(network, digest)
    path = write(tmp_path / "a.onnx", properties)
    assert portable.describe(path) == (network, digest)
    found = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert len(found.pop("deblur_keras.seal")) == 64
    assert found == properties


def test_other_peoples_files_and_versions_are_told_apart(tmp_path):
    with pytest.raises(
        PortableError, match=r"not a generator that deblur_keras exported.*--format"
    ):
        whole = onnx.load(write(tmp_path / "a.onnx", {"names": "{}"}))
        whole.metadata_props.pop()  # the seal
        onnx.save(whole, tmp_path / "a.onnx")
        portable.describe(tmp_path / "a.onnx")
    newer = {**portable.metadata(NETWORK), "deblur_keras.format": "1"}
    with pytest.raises(PortableError, match=r"format '1'.*expected 2; export it again"):
        portable.describe(write(tmp_path / "b.onnx", newer))
    broken = {**portable.metadata(NETWORK), "deblur_keras.size_multiple": "four"}
    with pytest.raises(PortableError, match=r"metadata are broken.*four"):
        portable.describe(write(tmp_path / "c.onnx", broken))
    with pytest.raises(PortableError, match="cannot be read"):
        portable.describe(tmp_path / "missing.onnx")


def test_a_file_that_is_cut_off_is_an_error_wherever_it_is_cut(tmp_path):
    whole = write(tmp_path / "a.onnx", portable.metadata(NETWORK)).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        with pytest.raises(PortableError):
            portable.describe(tmp_path / "cut.onnx")


def test_a_bit_that_flipped_is_noticed_wherever_it_is(tmp_path):
    whole = write(tmp_path / "a.onnx", portable.metadata(NETWORK)).read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            (tmp_path / "damaged.onnx").write_bytes(damaged)
            with pytest.raises(PortableError):
                portable.describe(tmp_path / "damaged.onnx")


def test_what_onnx_reads_and_writes_again_keeps_its_seal(tmp_path):
    path = write(tmp_path / "a.onnx", portable.metadata(NETWORK))
    onnx.save(onnx.load(path), tmp_path / "b.onnx")
    assert portable.describe(tmp_path / "b.onnx") == portable.describe(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "a.onnx"
    path.write_bytes(data)
    with pytest.raises(PortableError):
        portable.describe(path)


def test_only_a_file_made_from_the_very_same_weights_is_taken(tmp_path):
    keras_file = tmp_path / "a.keras"
    keras_file.write_bytes(b"weights")
    with pytest.raises(MissingError, match=r"export .*a\.keras --format onnx -o .*a\.onnx"):
        portable.beside(keras_file)
    write(tmp_path / "a.onnx", portable.metadata(NETWORK, portable.sha256(keras_file)))
    assert portable.beside(keras_file) == tmp_path / "a.onnx"
    graph = write(tmp_path / "a.graph", portable.metadata(NETWORK, portable.sha256(keras_file)))
    (tmp_path / "a.onnx").write_bytes(b"cut off")
    assert portable.beside(keras_file) == graph  # the broken one does not hide it
    keras_file.write_bytes(b"trained further")
    graph.unlink()
    with pytest.raises(PortableError, match="not an ONNX file"):
        portable.beside(keras_file)
    write(tmp_path / "a.onnx", portable.metadata(NETWORK, portable.sha256(tmp_path / "a.onnx")))
    with pytest.raises(PortableError, match=r"was made from another a.keras.*anew") as caught:
        portable.beside(keras_file)
    assert not isinstance(caught.value, MissingError)
