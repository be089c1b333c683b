import { systemActor } from '../http/actor.ts';
import type { Db } from '../db/database.ts';
import { minutes } from '../lib/clock.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { SessionService } from '../sessions/session-service.ts';
import { findCrowded } from '../sessions/session-store.ts';
import { MOST_LIVE_SESSIONS } from '../sessions/session.ts';
import type { Job } from './job.ts';
import { withLease } from './lease.ts';

const MOST_PEOPLE = 1000;
/** A process that has just started does not know how long there was none. */
const FIRST_LOOK_MS = minutes(60);
/** Sign-ins that were under way at the last look, and servers whose clocks differ. */
const OVERLAP_MS = minutes(2);

/**
 * Twice a minute: people who signed in since the last time and have more sessions than one person may lose those used
 * longest ago. A sign-in itself pays nothing for the limit.
 */
export function createSessionLimitJob({
  db,
  sessions,
  now,
  log,
}: {
  db: Db;
  sessions: Pick<SessionService, 'endExcess'>;
  now: Clock;
  log: Logger;
}): Job {
  let lookFrom = now().getTime() - FIRST_LOOK_MS;

  /** @returns whether everybody is within the limit */
  async function look(signal: AbortSignal): Promise<boolean> {
    const since = newId(new Date(lookFrom));
    const crowded = await findCrowded(db, { since, most: MOST_LIVE_SESSIONS, limit: MOST_PEOPLE });
    let isDone = crowded.length < MOST_PEOPLE;
    for (const { tenantId, userId } of crowded) {
      try {
        let ended = 1;
        while (ended > 0) {
          if (signal.aborted) return false;
          ended = await sessions.endExcess(systemActor(tenantId), userId);
        }
      } catch (err) {
        isDone = false;
        log.error({ err, user: userId }, 'sessions beyond the limit could not be ended');
      }
    }
    return isDone;
  }

  return {
    name: 'session-limit',
    everySeconds: 30,
    async run(signal) {
      const startedAt = now().getTime();
      const looked = await withLease(db, 'session-limit', () => look(signal));
      if (looked.ran && looked.result) lookFrom = startedAt - OVERLAP_MS;
    },
  };
}
