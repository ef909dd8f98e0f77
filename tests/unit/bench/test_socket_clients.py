"""How the socket clients of S6 encode and decode WebSocket frames."""

import socket

import pytest

from bench.socket_clients import (
    WebSocketClient,
    decode_frame,
    encode_frame,
    read_latencies,
    take_received_count,
)

SIZES = (0, 1, 125, 126, 300, 65_535)


def encode_server_frame(payload: bytes) -> bytes:
    """A frame without mask (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + size.to_bytes(8, "big") + payload


@pytest.mark.parametrize("size", [*SIZES, 65_536, 70_000])
def test_websocket_frame_is_read_when_complete(size: int) -> None:
    payload, frame = b"x" * size, encode_server_frame(b"x" * size)

    assert decode_frame(frame) == (payload, b"")
    assert decode_frame(frame + b"\x81") == (payload, b"\x81")
    assert decode_frame(frame[:-1]) is None


@pytest.mark.parametrize("size", SIZES)
def test_client_frames_use_a_zero_mask(size: int) -> None:
    payload = b"x" * size
    raw = encode_frame(payload)

    assert raw[1] & 0x80
    assert raw.endswith(bytes(4) + payload)


def test_ping_is_answered_and_client_events_only_are_counted() -> None:
    server, client = socket.socketpair()
    websocket_client = WebSocketClient(client)
    payloads = (b"2", b'42["bench_event",{"sentAt":1000.5}]', b'42["other",{}]')
    server.sendall(b"".join(encode_server_frame(payload) for payload in payloads))

    latencies_ms = read_latencies(websocket_client)

    assert len(latencies_ms) == 1
    assert take_received_count([websocket_client], "other") == 1
    assert take_received_count([websocket_client], "other") == 0
    assert latencies_ms[0] > 0
    assert server.recv(100) == encode_frame(b"3")
    server.close()
    client.close()


def test_closed_socket_is_reported() -> None:
    server, client = socket.socketpair()
    server.close()

    with pytest.raises(RuntimeError, match="closed"):
        read_latencies(WebSocketClient(client))
    client.close()
