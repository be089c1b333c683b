import type { Knex } from 'knex';
import { afterCommit } from '../db/after-commit.ts';
import type { Db } from '../db/database.ts';
import type { Redis } from '../redis/redis.ts';
import { sharedKey } from '../redis/redis-keys.ts';
import { publish, subscribe } from '../redis/subscription.ts';

/**
 * Word that a tenant's version was raised, so that it takes effect at once: in this process by a call, in
 * the other workers of this machine by their primary, everywhere else by a message over Redis. The versions
 * in the database stay the truth, and everybody looks at them regularly: a message that is lost costs half a
 * second.
 */
const CHANNEL = sharedKey('tenant-changed');

/** The other processes of a server that has several. */
export interface Siblings {
  tell(message: string): void;
  listen(listener: (message: string) => void): void;
}

export function createTenantChanges({
  redis,
  siblings,
}: {
  redis: Redis | undefined;
  siblings?: Siblings | undefined;
}) {
  const listeners: ((tenantId?: string) => void)[] = [];
  const tell = (tenantId?: string) => {
    for (const listener of listeners) listener(tenantId);
  };
  siblings?.listen(tell);
  if (redis) subscribe(redis, CHANNEL, { onMessage: tell, onGap: () => tell() });

  return {
    /** To be called after the commit. */
    announce(tenantId: string): void {
      tell(tenantId);
      siblings?.tell(tenantId);
      if (redis) void publish(redis, CHANNEL, tenantId);
    },

    /** @param listener gets the tenant's id, or nothing when any could have changed */
    listen(listener: (tenantId?: string) => void): void {
      listeners.push(listener);
    },
  };
}

/** For a process that changes tenants and serves none of them: waits until the others have been told. */
export async function announceOnce(redis: Redis, tenantIds: Iterable<string>): Promise<void> {
  await redis.settled();
  for (const tenantId of tenantIds) await publish(redis, CHANNEL, tenantId);
}

/** A pool on which every version that is raised is announced, in whatever transaction that happens. */
export function announcing(db: Knex, announce: (tenantId: string) => void): Knex {
  return db.withUserParams({ ...db.userParams, [ANNOUNCE]: announce });
}

/** @param db on which the version was raised */
export function announceAfterCommit(db: Db, tenantId: string): void {
  const announce: unknown = db.userParams?.[ANNOUNCE];
  if (typeof announce === 'function') afterCommit(db, () => announce(tenantId));
}

const ANNOUNCE = 'announceTenantChange';
