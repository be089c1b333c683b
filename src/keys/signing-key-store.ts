import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import type { KeyStatus, PublicJwk, SigningAlg, SigningKey } from './signing-key.ts';

interface SigningKeyRow {
  id: string;
  kid: string;
  alg: SigningAlg;
  status: KeyStatus;
  public_jwk: PublicJwk;
  created_at: Date;
  activated_at: Date | null;
  retired_at: Date | null;
  removed_at: Date | null;
}

export interface SealedKey {
  id: string;
  kid: string;
  alg: SigningAlg;
  privateJwkSealed: string;
}

/** Queries of `signing_keys`, bound to a tenant. Only `listSealed` reads private halves, sealed. */
export function signingKeyStore(db: Db, tenantId: string) {
  return {
    /** All keys, those that left too, oldest first. */
    async list(): Promise<SigningKey[]> {
      const { rows } = await prepared<SigningKeyRow>(
        db,
        'list-signing-keys',
        `SELECT id, kid, alg, status, public_jwk, created_at, activated_at, retired_at, removed_at
         FROM signing_keys WHERE tenant_id = ? ORDER BY id`,
        [tenantId],
      );
      return rows.map(fromRow);
    },

    /** The published keys, from one statement and so from one moment: the current ones first, then next, then retiring. */
    async listSealed(): Promise<SealedKey[]> {
      const { rows } = await prepared<SealedKey>(
        db,
        'list-sealed-signing-keys',
        `SELECT id, kid, alg, private_jwk_sealed AS "privateJwkSealed"
         FROM signing_keys WHERE tenant_id = ? AND status IN ('current', 'next', 'retiring')
         ORDER BY array_position(ARRAY['RS256', 'ES256', 'EdDSA'], alg),
           array_position(ARRAY['current', 'next', 'retiring'], status), retired_at DESC`,
        [tenantId],
      );
      return rows;
    },

    async insert(key: {
      id: string;
      kid: string;
      alg: SigningAlg;
      status: KeyStatus;
      publicJwk: PublicJwk;
      privateJwkSealed: string;
      at: Date;
    }): Promise<void> {
      await db('signing_keys').insert({
        id: key.id,
        tenant_id: tenantId,
        kid: key.kid,
        alg: key.alg,
        status: key.status,
        public_jwk: JSON.stringify(key.publicJwk),
        private_jwk_sealed: key.privateJwkSealed,
        activated_at: key.status === 'current' ? key.at : null,
        created_at: key.at,
        updated_at: key.at,
      });
    },

    /** @returns whether the key was in the status it was believed to be in; otherwise nothing changed */
    async move(key: Pick<SigningKey, 'id' | 'status'>, to: KeyStatus, at: Date): Promise<boolean> {
      const count = await db('signing_keys')
        .where({ tenant_id: tenantId, id: key.id, status: key.status })
        .update({ status: to, updated_at: at, ...consequencesOf(to, at) });
      return count === 1;
    },
  };
}

/** The time as the database has it, which all replicas share. */
export async function databaseTime(db: Db): Promise<Date> {
  // Not now(): that is when the transaction began, and it may have waited for a lock since.
  const { rows } = await db.raw('SELECT clock_timestamp() AS now');
  return rows[0].now;
}

function consequencesOf(to: KeyStatus, at: Date) {
  switch (to) {
    case 'current':
      return { activated_at: at };
    case 'retiring':
      return { retired_at: at };
    case 'gone':
    case 'revoked':
      return { removed_at: at, private_jwk_sealed: null };
    case 'next':
      return {};
  }
}

function fromRow(row: SigningKeyRow): SigningKey {
  return {
    id: row.id,
    kid: row.kid,
    alg: row.alg,
    status: row.status,
    publicJwk: row.public_jwk,
    createdAt: row.created_at,
    activatedAt: row.activated_at,
    retiredAt: row.retired_at,
    removedAt: row.removed_at,
  };
}
