"""Client addresses: the address behind trusted proxies, and the network that an address belongs to."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def client_ip(peer_address: str, forwarded_for: str, trusted_networks: tuple[Network, ...]) -> str:
    """The address of the client: the last one in X-Forwarded-For that is not a trusted proxy."""
    address = peer_address
    for forwarded_address in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not _is_in_networks(address, trusted_networks):
            break
        address = forwarded_address
    return address if _is_address(address) else peer_address


def _is_in_networks(address: str, networks: tuple[Network, ...]) -> bool:
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


def rate_limit_ip_or_subnet(address: str) -> str:
    """The address as rate limits count it. IPv6 by /64: the owner of one address there has all of them."""
    if ":" not in address or not _is_address(address):
        return address
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(IPv6Network((ip.packed, 64), strict=False))


def approximate_network(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) network of an address as CIDR. Anything else is returned unchanged."""
    if not _is_address(address):
        return address
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))
