import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import { createNetworks, parseAddress } from '../lib/networks.ts';
import type { Networks } from '../lib/networks.ts';

/**
 * Makes every request look as if it came to the configured public URL. Issuer, links, cookies and redirects
 * are built from host and protocol by us, by Koa and by the protocol engine; pinned at the door, no header
 * of a request can change them. The client's address is the one thing a trusted proxy may tell.
 * @returns a function that pins a request and returns its client's address
 */
export function createPinOrigin({
  publicUrl,
  addressOf,
}: {
  publicUrl: string;
  addressOf: (req: IncomingMessage) => string;
}): (req: IncomingMessage) => string {
  const { host, protocol } = new URL(publicUrl);

  return (req) => {
    const { headers } = req;
    const ip = addressOf(req);
    for (const name of Object.keys(headers)) if (isForwarding(name)) delete headers[name];
    blankRawHeaders(req.rawHeaders, host);
    headers.host = host;
    headers['x-forwarded-proto'] = protocol.slice(0, -1);
    if (ip) headers['x-forwarded-for'] = ip;
    req.url = originForm(req.url ?? '/');
    return ip;
  };
}

/** Whose address is remembered in its canonical form: reading it anew for each request takes a microsecond. */
const MOST_PEERS = 1_000;

/** Who sends a request, as it came in: the address of the socket, or what trusted proxies tell. */
export function createClientAddresses({
  trustProxy,
  onIgnored,
}: {
  /** CIDRs of the reverse proxies. */
  trustProxy: readonly string[];
  /** Called once, when somebody tells of a client's address whom nobody trusts to do so. */
  onIgnored?: () => void;
}): (req: IncomingMessage) => string {
  const trusted = createNetworks(trustProxy);
  const peers = new LRUCache<string, string>({
    max: MOST_PEERS,
    memoMethod: (peer) => clientAddress(peer, undefined, trusted),
  });
  let hasIgnored = false;

  return ({ headers, socket: { remoteAddress = '' } }) => {
    const forwardedFor = headers['x-forwarded-for'];
    if (forwardedFor === undefined) return peers.memo(remoteAddress);
    const ip = clientAddress(remoteAddress, forwardedFor, trusted);
    if (!hasIgnored && forwardedFor !== undefined && isPeer(ip, remoteAddress)) {
      hasIgnored = true;
      onIgnored?.();
    }
    return ip;
  };
}

/**
 * The right-most address that no trusted proxy wrote about another trusted proxy. Everything left of it was
 * written by the client and may be a lie.
 * @param peer the socket's address
 * @param forwardedFor the `X-Forwarded-For` header; several are joined by commas
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | string[] | undefined,
  trusted: Networks,
): string {
  let client = parseAddress(peer ?? '');
  const list = String(forwardedFor ?? '');

  for (let end = list.length; client && end > 0 && trusted.includes(client); ) {
    const comma = list.lastIndexOf(',', end - 1);
    const entry = parseForwarded(list.slice(comma + 1, end));
    if (!entry) break;
    client = entry;
    end = comma;
  }
  return client?.toString() ?? '';
}

function isPeer(ip: string, peer: string | undefined): boolean {
  return ip === parseAddress(peer ?? '')?.toString();
}

// Longest: an IPv6 address with brackets and port, and some white space.
const MAX_ENTRY_LENGTH = 64;

/** Some proxies write the port as well: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function parseForwarded(entry: string) {
  if (entry.length > MAX_ENTRY_LENGTH) return undefined;
  const text = entry.trim();
  const { address = text } =
    /^\[(?<address>[^\]%]+)\](:\d+)?$/.exec(text)?.groups ??
    /^(?<address>\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.groups ??
    {};
  return address.includes('%') ? undefined : parseAddress(address);
}

const FORWARDING_HEADERS = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'x-host',
  'x-scheme',
  'x-url-scheme',
  'front-end-https',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
]);

function isForwarding(name: string): boolean {
  return name.startsWith('x-forwarded') || FORWARDING_HEADERS.has(name);
}

/** In place, because Node reads `headersDistinct` from here, by the number of lines it counted. */
function blankRawHeaders(rawHeaders: string[], host: string): void {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (name === 'host') rawHeaders[index + 1] = host;
    else if (isForwarding(name)) rawHeaders[index + 1] = '';
  }
}

/** Koa takes host and protocol from an absolute target (`GET http://evil.example/ HTTP/1.1`, RFC 9112 §3.2.2). */
function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return `/${target}`;
  const { pathname, search } = new URL(target);
  return pathname + search;
}
