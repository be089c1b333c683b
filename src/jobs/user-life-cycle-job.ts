import { systemActor } from '../http/actor.ts';
import type { Db } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import type { UserService } from '../users/user-service.ts';
import type { Job } from './job.ts';
import { withLease } from './lease.ts';

const BATCH = 100;

interface Due {
  id: string;
  tenant_id: string;
}

/**
 * Twice a minute: ends locks whose time has come, and erases users who were deleted long enough ago. Each is a change of
 * its own, decided under the user's lock, so two processes at once do nothing twice.
 */
export function createUserLifeCycleJob({
  db,
  users,
  eraseDays,
  log,
}: {
  db: Db;
  users: Pick<UserService, 'unlock' | 'erase'>;
  eraseDays: number;
  log: Logger;
}): Job {
  // Who fails steps aside until the next run: however many they are, the others are due all the same.
  const dueToUnlock = (aside: readonly string[]) =>
    due(
      `SELECT id, tenant_id FROM users WHERE locked_until <= now() AND status = 'locked' AND deleted_at IS NULL
          AND id <> ALL (?::uuid[])
        ORDER BY locked_until LIMIT ${BATCH}`,
      [[...aside]],
    );
  const dueToErase = (aside: readonly string[]) =>
    due(
      `SELECT id, tenant_id FROM users WHERE deleted_at <= now() - make_interval(days => ?::int)
          AND id <> ALL (?::uuid[])
        ORDER BY deleted_at LIMIT ${BATCH}`,
      [eraseDays, [...aside]],
    );

  async function due(sql: string, bindings: (number | string[])[]): Promise<Due[]> {
    const { rows } = await db.raw<{ rows: Due[] }>(sql, bindings);
    return rows;
  }

  /** @returns whether there may be more */
  async function each(
    users: readonly Due[],
    what: string,
    work: (user: Due) => Promise<unknown>,
    { aside, signal }: { aside: string[]; signal: AbortSignal },
  ): Promise<boolean> {
    for (const user of users) {
      if (signal.aborted) return false;
      try {
        await work(user);
      } catch (err) {
        aside.push(user.id);
        log.error({ err, user: user.id }, `a user could not be ${what}`);
      }
    }
    return users.length === BATCH;
  }

  return {
    name: 'user-life-cycle',
    everySeconds: 30,
    async run(signal) {
      await withLease(db, 'user-life-cycle', async () => {
        const run = { aside: [], signal };
        let more = true;
        while (more && !signal.aborted) {
          const unlocked = await each(
            await dueToUnlock(run.aside),
            'unlocked',
            ({ id, tenant_id }) => users.unlock(systemActor(tenant_id), id, { reason: 'time' }),
            run,
          );
          const erased = await each(
            await dueToErase(run.aside),
            'erased',
            ({ id, tenant_id }) => users.erase(systemActor(tenant_id), id),
            run,
          );
          more = unlocked || erased;
        }
      });
    },
  };
}
