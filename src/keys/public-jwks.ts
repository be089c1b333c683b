import type { PublicJwk } from './signing-key.ts';

// Members of a public key by type (RFC 7518 §6, RFC 8037 §2). An allow-list: a private member that a later version
// of a format adds stays inside.
const PUBLIC_MEMBERS: Readonly<Record<string, readonly ('crv' | 'x' | 'y' | 'n' | 'e')[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
};

/** The public half of a key, whatever else the argument holds. */
export function publicJwk(jwk: PublicJwk): PublicJwk {
  const members = PUBLIC_MEMBERS[jwk.kty];
  if (!members) throw new TypeError(`no signing key type: ${jwk.kty}`);
  const result: PublicJwk = { kty: jwk.kty, kid: jwk.kid, alg: jwk.alg, use: 'sig' };
  for (const member of members) {
    const value = jwk[member];
    if (typeof value !== 'string') throw new TypeError(`a ${jwk.kty} key without ${member}`);
    result[member] = value;
  }
  return result;
}

/** The JWK Set to publish (RFC 7517 §5), in the order given. */
export function publicJwks(keys: readonly PublicJwk[]): { keys: PublicJwk[] } {
  return { keys: keys.map(publicJwk) };
}
