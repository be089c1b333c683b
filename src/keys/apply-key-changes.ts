import type { Db } from '../db/database.ts';
import type { EventType } from '../events/event-types.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { newId } from '../lib/ids.ts';
import type { Sealer } from '../lib/sealer.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { generateSigningJwk } from './key-material.ts';
import type { KeyChange } from './key-life-cycle.ts';
import { publicJwk } from './public-jwks.ts';
import { sealJwk } from './sealed-jwk.ts';
import type { KeyStatus, PrivateJwk, SigningAlg } from './signing-key.ts';
import { signingKeyStore } from './signing-key-store.ts';

/** What happened to a key; `from` is null for a new one. */
export interface KeyTransition {
  kid: string;
  alg: SigningAlg;
  from: KeyStatus | null;
  to: KeyStatus;
}

/** Key pairs made before a lock was taken, for the changes that turn out to be needed under it. */
export interface KeyMaterial {
  take(alg: SigningAlg): Promise<PrivateJwk>;
}

export async function prepareMaterial(changes: readonly KeyChange[]): Promise<KeyMaterial> {
  const stock: PrivateJwk[] = [];
  for (const { key, alg } of changes) {
    // One after the other: the thread pool also signs tokens and hashes passwords.
    if (!key) stock.push(await generateSigningJwk(alg));
  }
  return {
    async take(alg) {
      const index = stock.findIndex((jwk) => jwk.alg === alg);
      const [jwk] = index === -1 ? [] : stock.splice(index, 1);
      // Keys changed between the first look and the lock: rare, and worth the wait under it.
      return jwk ?? generateSigningJwk(alg);
    },
  };
}

/**
 * Carries out a plan with its events and raises the tenant's version.
 * @param trx a transaction that holds the tenant's lock, taken before the keys of the plan were read
 * @param at the database's time
 */
export async function applyKeyChanges(
  trx: Db,
  actor: Actor,
  changes: readonly KeyChange[],
  { at, sealer, material, now }: { at: Date; sealer: Sealer; material: KeyMaterial; now: () => Date },
): Promise<KeyTransition[]> {
  const store = signingKeyStore(trx, actor.tenantId);
  const transitions: KeyTransition[] = [];

  for (const change of changes) {
    const { alg, key, to, reason } = change;
    const from = key?.status ?? null;
    const kid = key ? key.kid : await create(change);
    if (key && !(await store.move(key, to, at))) {
      throw new Error(`signing key ${kid} changed under the lock of its tenant`);
    }
    await recordEvent(trx, actor, eventOf(change), {
      target: { type: 'signing_key', id: kid },
      reason,
      data: { alg, before: from && { status: from }, after: { status: to } },
    });
    transitions.push({ kid, alg, from, to });
  }

  if (transitions.length > 0) await tenantStore(trx).raiseOidcVersion(actor.tenantId);
  return transitions;

  async function create({ alg, to }: KeyChange): Promise<string> {
    const jwk = await material.take(alg);
    const id = newId(now());
    await store.insert({
      id,
      kid: jwk.kid,
      alg,
      status: to,
      publicJwk: publicJwk(jwk),
      privateJwkSealed: sealJwk(sealer, id, jwk),
      at,
    });
    return jwk.kid;
  }
}

function eventOf({ key, to }: KeyChange): EventType {
  if (!key) return 'signing_key.created';
  switch (to) {
    case 'current':
      return 'signing_key.activated';
    case 'retiring':
      return 'signing_key.retired';
    case 'gone':
      return 'signing_key.removed';
    case 'revoked':
      return 'signing_key.revoked';
    case 'next':
      throw new TypeError('a key becomes next only when it is made');
  }
}
