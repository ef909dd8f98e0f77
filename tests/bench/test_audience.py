"""How the audience of S6 reads and writes frames, whole and in pieces."""

import socket

import pytest

from bench.audience import Ear, framed, heard, unframed

SIZES = (0, 1, 125, 126, 300, 65_535)


def by_a_server(payload: bytes) -> bytes:
    """Not masked; sizes as RFC 6455, 5.2 has them."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + size.to_bytes(8, "big") + payload


@pytest.mark.parametrize("size", [*SIZES, 65_536, 70_000])
def test_a_frame_is_read_when_it_is_complete_and_not_before(size: int):
    payload, whole = b"x" * size, by_a_server(b"x" * size)

    assert unframed(whole) == (payload, b"")
    assert unframed(whole + b"\x81") == (payload, b"\x81")
    assert unframed(whole[:-1]) is None


@pytest.mark.parametrize("size", SIZES)
def test_what_we_say_is_masked_by_nothing(size: int):
    payload = b"x" * size
    raw = framed(payload)

    assert raw[1] & 0x80
    assert raw.endswith(bytes(4) + payload)


def test_a_ping_is_answered_and_only_frames_of_ours_count():
    server, client = socket.socketpair()
    ear = Ear(client)
    frames = (b"2", b'42["heard",{"sentAt":1000.5}]', b'42["other",{}]')
    server.sendall(b"".join(by_a_server(one) for one in frames))

    late = heard(ear)

    assert len(late) == 1
    assert late[0] > 0
    assert server.recv(100) == framed(b"3")
    for one in (server, client):
        one.close()


def test_a_socket_that_was_closed_is_no_silence():
    server, client = socket.socketpair()
    server.close()

    with pytest.raises(RuntimeError, match="closed"):
        heard(Ear(client))
    client.close()
