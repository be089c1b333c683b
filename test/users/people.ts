import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { Actor } from '../../src/http/actor.ts';
import type { SignInAttempts } from '../../src/attempts/sign-in-attempts.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createPasswordHasher } from '../../src/users/password-hasher.ts';
import type { PasswordHasher } from '../../src/users/password-hasher.ts';
import { createPasswordPolicy } from '../../src/users/password-policy.ts';
import { createPasswordSignIn } from '../../src/users/password-sign-in.ts';
import { createUserService } from '../../src/users/user-service.ts';

export const GOOD_PASSWORD = 'mossy lantern orbit 47';
export const OTHER_PASSWORD = 'velvet harbour tundra 9';

export const newKey = (): Buffer => randomBytes(32);

export function newHasher(keys: readonly Buffer[] = [newKey()]): PasswordHasher {
  return createPasswordHasher({ peppers: createKeyRing(keys), concurrency: 2, maxQueue: 200 });
}

/** A real hasher that counts its work. */
export function countingHasher(inner: PasswordHasher = newHasher()) {
  const calls = { hash: 0, verify: 0 };
  const hasher: PasswordHasher = {
    ...inner,
    hash: (password) => {
      calls.hash += 1;
      return inner.hash(password);
    },
    verify: (password, stored) => {
      calls.verify += 1;
      return inner.verify(password, stored);
    },
  };
  return { hasher, calls };
}

export function operator(tenantId: string): Actor {
  return { tenantId, type: 'operator' };
}

export function visitor(tenantId: string): Actor {
  return { tenantId, type: 'anonymous', ip: '203.0.113.7', userAgent: 'test', correlationId: 'c-1' };
}

/** Tests of the limits are with the limits. */
export const uncounted: Pick<SignInAttempts, 'begin'> = {
  begin: async () => ({
    ok: true,
    inARow: undefined,
    succeeded: async () => {},
    failed: async () => {},
    withdraw: async () => {},
  }),
};

/** The services as the composition root wires them; `revoked` lists whose access was ended, `forgiven` whose failures were forgotten. */
export function people(
  db: Knex,
  hasher: PasswordHasher = newHasher(),
  revokeAccess: (trx: Knex, tenantId: string, userId: string) => Promise<unknown> = async () => {},
) {
  const revoked: string[] = [];
  const forgiven: string[] = [];
  const users = createUserService({
    db,
    now: systemClock,
    hasher,
    passwordPolicy: createPasswordPolicy({ minLength: 15 }),
    async revokeAccess(trx, tenantId, userId) {
      revoked.push(userId);
      await revokeAccess(trx, tenantId, userId);
    },
    forgetFailures: async (_trx, _tenantId, email) => void forgiven.push(email),
    tellOwner: async () => {},
  });
  const signIn = createPasswordSignIn({ db, now: systemClock, hasher, attempts: uncounted });
  return { users, signIn, revoked, forgiven };
}

export interface EventRow {
  type: string;
  actor_type: string;
  target_id: string | null;
  reason: string | null;
  data: Record<string, unknown>;
  ip: string | null;
}

export async function eventsOf(db: Knex, tenantId: string, type?: string): Promise<EventRow[]> {
  return db<EventRow & { id: string; tenant_id: string }>('events')
    .where({ tenant_id: tenantId, ...(type === undefined ? {} : { type }) })
    .orderBy('id');
}
