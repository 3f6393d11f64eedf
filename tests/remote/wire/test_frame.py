"""Frames: what is packed is read again, and nothing else is."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.errors import CodecError
from simsplit.remote.wire.frame import LAST_TAG, LONGEST_HEAD, Flag, Frame, FrameKind, IncomingFrame
from tests.support.profiles import examples

FRAMES = st.builds(
    Frame,
    st.integers(FrameKind.HELLO, FrameKind.END),
    st.integers(0, 2**64 - 1),
    st.text(max_size=50).filter(lambda text: text.isprintable()),
    st.text(max_size=50).filter(lambda text: text.isprintable()),
    st.sampled_from([Flag.NONE, Flag.ONEWAY, Flag.GET | Flag.STREAM]),
    st.integers(0, 2**16 - 1),
    st.binary(max_size=100),
    st.lists(st.binary(max_size=20).map(memoryview), max_size=3),
)


@given(FRAMES, st.integers(1, LAST_TAG))
def test_a_frame_is_read_as_it_was_packed(frame: Frame, tag: int) -> None:
    data, buffers = frame.pack(tag)
    head = IncomingFrame(data, 0)
    assert (head.kind, head.correlation, head.object, head.method) == (
        frame.kind,
        frame.correlation,
        frame.object,
        frame.method,
    )
    assert (head.flags, head.depth, head.body) == (frame.flags, frame.depth or 1, frame.body)
    assert head.tag == (tag if buffers else 0)
    assert head.sizes == tuple(len(buffer) for buffer in frame.buffers)


def test_the_layout_is_the_one_that_is_documented() -> None:
    frame = Frame(FrameKind.REQUEST, 258, "ob", "mth", Flag.ONEWAY, 3, b"body", [memoryview(b"12345")])
    data, _ = frame.pack(7)
    expected = b"SSRO\1\6\1\0" + b"\2\1\0\0\0\0\0\0" + b"\2\0\3\0\3\0\7\0" + b"\1\0\0\0" + b"\4\0\0\0"
    assert data == expected + b"obmth" + b"\5" + bytes(7) + b"body"


def test_a_long_body_travels_apart() -> None:
    frame = Frame(FrameKind.RESULT, body=b"x" * LONGEST_HEAD, buffers=[memoryview(b"abc")])
    data, buffers = frame.pack(1)
    head = IncomingFrame(data, 0)
    assert len(data) < 100
    assert head.flags & Flag.BODY_APART
    assert head.sizes == (LONGEST_HEAD, 3)
    assert bytes(buffers[0]) == frame.body


@examples(300)
@given(FRAMES, st.data())
def test_a_damaged_frame_is_refused_or_still_one(frame: Frame, data: st.DataObject) -> None:
    packed = bytearray(frame.pack(5)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CodecError):
        IncomingFrame(bytes(packed), 0)


@given(st.binary(max_size=100), st.booleans())
def test_no_bytes_do_more_than_be_refused(data: bytes, begun: bool) -> None:
    with suppress(CodecError):
        IncomingFrame(b"SSRO\1" + data if begun else data, 0)


@given(FRAMES)
def test_a_frame_that_is_cut_or_too_long_is_refused(frame: Frame) -> None:
    data, _ = frame.pack(1)
    for wrong in (data[:-1], data + b"x", data[:31], b""):
        with pytest.raises(CodecError, match="not a frame"):
            IncomingFrame(bytes(wrong), 0)


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 0), (4, 2), (5, 0), (5, 99), (7, 255), (22, 0), (23, 255), (26, 1), (6, 32), (32, 255)]
)
def test_a_wrong_field_is_refused(offset: int, value: int) -> None:
    data, _ = Frame(FrameKind.REQUEST, 1, "o", "m", body=b"b", buffers=[memoryview(b"1")]).pack(300)
    IncomingFrame(data, 0)
    wrong = bytearray(data)
    wrong[offset] = value
    if offset == 22:
        wrong[23] = 0
    with pytest.raises(CodecError, match="not a frame"):
        IncomingFrame(bytes(wrong), 0)
