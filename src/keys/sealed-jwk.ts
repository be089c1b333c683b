import type { Sealer } from '../lib/sealer.ts';
import { fail } from './key-errors.ts';
import type { PrivateJwk } from './signing-key.ts';
import type { SealedKey } from './signing-key-store.ts';

/** The row is part of the place, so a sealed key that was copied into another row does not open. */
const placeOf = (id: string): string => `signing_keys:private_jwk_sealed:${id}`;

export function sealJwk(sealer: Sealer, id: string, jwk: PrivateJwk): string {
  return sealer.seal(JSON.stringify(jwk), placeOf(id));
}

/** @throws {AppError} `signing_key.cannot_open`, its cause says which master key is needed */
export function openJwk(sealer: Sealer, { id, kid, alg, privateJwkSealed }: SealedKey): PrivateJwk {
  let jwk: PrivateJwk;
  try {
    jwk = JSON.parse(sealer.open(privateJwkSealed, placeOf(id)));
  } catch (err) {
    throw fail('cannot_open', { cause: new Error(explain(sealer, kid, privateJwkSealed), { cause: err }) });
  }
  if (jwk.kid !== kid || jwk.alg !== alg) {
    // Only what is sealed is authenticated; a row relabelled in the database must not sign.
    throw fail('cannot_open', { cause: new Error(`the row of signing key ${kid} holds another key`) });
  }
  return jwk;
}

function explain(sealer: Sealer, kid: string, sealed: string): string {
  try {
    return `signing key ${kid} is sealed under master key ${sealer.keyIdOf(sealed)} and does not open: either GATEHOUSE_KEYS lacks that key (put it back, after the current one), or the row was altered (revoke the key)`;
  } catch {
    return `signing key ${kid} does not open: the row was altered (revoke the key)`;
  }
}
