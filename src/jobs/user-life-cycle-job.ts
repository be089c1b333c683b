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
  const dueToUnlock = () =>
    due(
      `SELECT id, tenant_id FROM users WHERE locked_until <= now() AND status = 'locked' AND deleted_at IS NULL
        ORDER BY locked_until LIMIT ${BATCH}`,
    );
  const dueToErase = () =>
    due(
      `SELECT id, tenant_id FROM users WHERE deleted_at <= now() - make_interval(days => ?::int)
        ORDER BY deleted_at LIMIT ${BATCH}`,
      [eraseDays],
    );

  async function due(sql: string, bindings: readonly number[] = []): Promise<Due[]> {
    const { rows } = await db.raw<{ rows: Due[] }>(sql, bindings);
    return rows;
  }

  /** @returns whether there may be more */
  async function each(users: readonly Due[], what: string, work: (user: Due) => Promise<unknown>) {
    let failures = 0;
    for (const user of users) {
      try {
        await work(user);
      } catch (err) {
        failures += 1;
        // The others are due all the same.
        log.error({ err, user: user.id }, `a user could not be ${what}`);
      }
    }
    return users.length === BATCH && failures === 0;
  }

  return {
    name: 'user-life-cycle',
    everySeconds: 30,
    async run(signal) {
      await withLease(db, 'user-life-cycle', async () => {
        let more = true;
        while (more && !signal.aborted) {
          const unlocked = await each(await dueToUnlock(), 'unlocked', ({ id, tenant_id }) =>
            users.unlock(systemActor(tenant_id), id, { reason: 'time' }),
          );
          const erased = await each(await dueToErase(), 'erased', ({ id, tenant_id }) =>
            users.erase(systemActor(tenant_id), id),
          );
          more = unlocked || erased;
        }
      });
    },
  };
}
