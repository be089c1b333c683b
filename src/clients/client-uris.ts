/**
 * What the addresses of a client may look like. They are compared character by character at run time
 * (RFC 9700 §2.1), so whatever two parsers could read in two ways is refused at registration.
 */

export interface UriRules {
  applicationType: 'web' | 'native';
  /** Development: a web application may run on this very machine without https. */
  allowLocalHttp: boolean;
}

const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]']);
// A private-use scheme is a domain name read backwards (RFC 8252 §7.1), such as com.example.app.
const PRIVATE_SCHEME = /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/;

/** @returns what is wrong with a redirect URI, or undefined */
export function redirectUriFault(uri: string, rules: UriRules): string | undefined {
  const fault = commonFault(uri);
  if (fault) return fault;
  const { protocol, hostname, pathname } = new URL(uri);
  if (uri.includes('*'))
    return 'wildcards are not supported; register every redirect URI exactly as it is sent';
  if (/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(rawPath(uri))) return 'must not contain "." or ".." path segments';

  const loopback = LOOPBACK_HOSTS.has(hostname);
  if (protocol === 'https:') {
    return rules.applicationType === 'native' && loopback
      ? `must not claim https on ${hostname}; a native application listens on http there (RFC 8252 §7.3)`
      : undefined;
  }
  if (protocol === 'http:') {
    if (rules.applicationType === 'native') {
      return loopback
        ? undefined
        : 'must use https; http is for loopback addresses only (127.0.0.1, [::1], localhost)';
    }
    return loopback && rules.allowLocalHttp
      ? undefined
      : 'must use https; only native applications, and development servers, may use http on a loopback address';
  }
  if (rules.applicationType === 'web')
    return 'must use https (its own URI schemes are for native applications)';
  if (!PRIVATE_SCHEME.test(protocol)) {
    return `the scheme must be a reversed domain name that you own, such as com.example.app: (RFC 8252 §7.1)`;
  }
  return pathname === '' && hostname === '' ? 'must have a path after the scheme' : undefined;
}

/** @returns what is wrong with an address that browsers show or that the server calls, or undefined */
export function webUriFault(
  uri: string,
  { allowLocalHttp }: Pick<UriRules, 'allowLocalHttp'>,
): string | undefined {
  const fault = commonFault(uri);
  if (fault) return fault;
  const { protocol, hostname } = new URL(uri);
  if (protocol === 'https:') return undefined;
  return protocol === 'http:' && allowLocalHttp && LOOPBACK_HOSTS.has(hostname)
    ? undefined
    : 'must use https';
}

function commonFault(uri: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(uri)) {
    return 'must be ASCII without spaces; percent-encode other characters, and write host names in punycode';
  }
  if (/[\\"<>^`{|}]/.test(uri)) return 'contains a character that is not allowed in a URI (RFC 3986)';
  const parsed = URL.parse(uri);
  if (!parsed) return 'must be an absolute URI';
  if (uri.includes('#')) return 'must not have a fragment';
  if (parsed.username || parsed.password || /^[a-z]+:\/\/[^/?]*@/i.test(uri))
    return 'must not contain a user name';
  // URL accepts "https:example.org" and "https:///example.org"; other parsers see another host in them.
  if (/^https?:$/.test(parsed.protocol) && !/^https?:\/\/[^/?]/.test(uri)) {
    return `must start with ${parsed.protocol}// in lower case, followed by the host`;
  }
  return undefined;
}

function rawPath(uri: string): string {
  return uri.replace(/^[^:]+:(\/\/[^/?]*)?/, '').replace(/[?].*$/, '');
}
