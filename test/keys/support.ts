import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { createKeyService } from '../../src/keys/key-service.ts';
import type { KeyService, KeyServiceOptions } from '../../src/keys/key-service.ts';
import type { KeyStatus, SigningAlg } from '../../src/keys/signing-key.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createSealer } from '../../src/lib/sealer.ts';
import { newTenant } from '../support/database.ts';

export const JWKS_MAX_AGE_SECONDS = 300;
export const LONGEST_TOKEN_SECONDS = 3600;
export const ROTATION_DAYS = 90;
export const DAY_SECONDS = 86_400;

export const masterKey = () => randomBytes(32);
export const sealerWith = (...keys: Buffer[]) => createSealer(createKeyRing(keys));
const testSealer = sealerWith(masterKey());

export function keyService(db: Knex, options: Partial<KeyServiceOptions> = {}): KeyService {
  return createKeyService({
    db,
    sealer: testSealer,
    now: () => new Date(),
    jwksMaxAgeSeconds: JWKS_MAX_AGE_SECONDS,
    longestTokenSeconds: LONGEST_TOKEN_SECONDS,
    rotationDays: ROTATION_DAYS,
    ...options,
  });
}

/** A tenant with a current and a next key of each algorithm. */
export async function tenantWithKeys(db: Knex, keys: KeyService): Promise<string> {
  const { id } = await newTenant(db);
  await db.transaction((trx) => keys.ensureKeys(trx, id));
  return id;
}

/** The times of keys are the database's, so time passes for a tenant by moving its keys into the past. */
export async function passTime(db: Knex, tenantId: string, seconds: number): Promise<void> {
  await db.raw(
    `UPDATE signing_keys SET
       created_at = created_at - make_interval(secs => :seconds),
       activated_at = activated_at - make_interval(secs => :seconds),
       retired_at = retired_at - make_interval(secs => :seconds)
     WHERE tenant_id = :tenantId`,
    { seconds, tenantId },
  );
}

/** The kids of a tenant's keys in a status, by algorithm. */
export async function kidsOf(
  keys: KeyService,
  tenantId: string,
  alg: SigningAlg,
  status: KeyStatus,
): Promise<string[]> {
  const all = await keys.list(tenantId);
  return all.filter((key) => key.alg === alg && key.status === status).map((key) => key.kid);
}

export async function oidcVersionOf(db: Knex, tenantId: string): Promise<number> {
  return (await db('tenants').where({ id: tenantId }).first('oidc_version')).oidc_version;
}

/** The tenant's events as `type kid`, oldest first. */
export async function keyEvents(db: Knex, tenantId: string): Promise<string[]> {
  const rows = await db('events').where({ tenant_id: tenantId }).orderBy('id');
  return rows.map((row) => `${row.type} ${row.target_id}`);
}
