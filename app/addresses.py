"""Addresses: where a request really comes from, and what of it counts as one place.

In    blueprints/identity.py, app/limits.py, app/stores/sessions.py
"""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def address_of(remote: str, forwarded: str, trusted: tuple[Network, ...]) -> str:
    """Who really asks: behind proxies we trust, the last address that is not one of them."""
    address = remote
    for one in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not _within(address, trusted):
            break
        address = one
    return address if _is_address(address) else remote


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    return (
        bool(networks)
        and _is_address(address)
        and any(ip_address(address) in network for network in networks)
    )


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def block_of(address: str) -> str:
    """Of IPv6 the /64: whoever has one address there has all of them."""
    if ":" not in address or not _is_address(address):
        return address
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found.packed, 64), strict=False))


def network_of(address: str) -> str:
    """Where it is, roughly, as CIDR: of IPv4 the /24, of IPv6 the /48. What is no address stays as
    it is."""
    if not _is_address(address):
        return address
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ip_network(f"{found}/{24 if found.version == 4 else 48}", strict=False))
