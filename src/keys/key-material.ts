import { generateKeyPair } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint } from 'jose';
import type { PrivateJwk, SigningAlg } from './signing-key.ts';

const generate = promisify(generateKeyPair);

/**
 * A fresh key: RSA of 2048 bits, P-256 or Ed25519. Runs on the thread pool, so requests go on; an RSA
 * key still takes a good part of a second, so make it before taking locks.
 */
export async function generateSigningJwk(alg: SigningAlg): Promise<PrivateJwk> {
  const jwk = (await privateKeyFor(alg)).export({ format: 'jwk' });
  const { kty, d } = jwk;
  if (kty === undefined || d === undefined) throw new TypeError(`no private JWK for ${alg}`);
  return { ...jwk, kty, d, kid: await calculateJwkThumbprint({ ...jwk, kty }), alg, use: 'sig' };
}

async function privateKeyFor(alg: SigningAlg): Promise<KeyObject> {
  switch (alg) {
    case 'RS256':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'ES256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
    case 'EdDSA':
      return (await generate('ed25519')).privateKey;
  }
}
