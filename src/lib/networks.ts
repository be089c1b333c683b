import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Addresses and networks, with IPv4-mapped IPv6 (`::ffff:10.0.0.1`) read as the IPv4 address it stands for. */

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

export interface Networks {
  includes(address: Address): boolean;
}

/** @param cidrs such as `10.0.0.0/8` and `fd00::/8`; validated with the configuration */
export function createNetworks(cidrs: readonly string[]): Networks {
  const networks = cidrs.map((cidr) => ipaddr.parseCIDR(cidr));
  return {
    includes: (address) =>
      networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits)),
  };
}

/** Strict: the shorthand, octal and hexadecimal forms that some resolvers accept are not addresses here. */
export function parseAddress(text: string): Address | undefined {
  const [withoutZone = ''] = text.split('%', 1);
  return isIP(withoutZone) === 0 ? undefined : ipaddr.process(withoutZone);
}

const CANONICAL_PREFIX = /^(?:(?:0|[1-9a-f][0-9a-f]{0,3}):){4}/;

/**
 * Whose address it is, for counting: of IPv6 the /64, of which everybody has a whole one at least, so that nobody
 * gets a new counter by taking another of their addresses.
 * @returns `192.0.2.1`, `2001:db8:1:2::/64`, or the text itself where it is no address
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  // Almost every IPv6 address: its first four parts as they stand. Mapped IPv4 ones begin with zeros.
  const [prefix] = CANONICAL_PREFIX.exec(address) ?? [];
  if (prefix !== undefined && prefix !== '0:0:0:0:') return `${prefix}:/64`;
  const parsed = parseAddress(address);
  if (parsed === undefined || parsed.kind() === 'ipv4') return parsed?.toString() ?? address;
  const { parts } = parsed as ipaddr.IPv6;
  return `${parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}

/**
 * The network that an address moves about in while its owner stays where they are: of IPv4 the /24, of IPv6 the /48.
 * @returns `192.0.2.0/24`, `2001:db8:1::/48`; undefined for what is no address
 */
export function neighbourhoodOf(address: string | undefined): string | undefined {
  const parsed = address === undefined ? undefined : parseAddress(address);
  if (parsed === undefined) return undefined;
  const [kind, bits] = parsed.kind() === 'ipv4' ? [ipaddr.IPv4, 24] : [ipaddr.IPv6, 48];
  return `${kind.networkAddressFromCIDR(`${parsed.toString()}/${bits}`).toString()}/${bits}`;
}

const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3');

/**
 * Whether an address is reachable by anybody on the internet. Everything with a special purpose is not
 * (IANA special-purpose registries, RFC 6890); of IPv6 only what is assigned for global unicast is, which
 * leaves out NAT64, IPv4-compatible and other forms that lead back into the operator's network.
 */
export function isPublicAddress(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || address.match(...GLOBAL_IPV6);
}

/** An address PostgreSQL's `inet` accepts: without an IPv6 zone, and IPv4 as such where the socket maps it into IPv6. */
export function addressOrNull(ip: string | undefined): string | null {
  if (ip === undefined) return null;
  const address = ip.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(address) === 0 ? null : address;
}
