import { z } from 'zod';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import { userEvents } from '../events/user-events.ts';
import type { UserEvent } from '../events/user-events.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { days, later } from '../lib/clock.ts';
import { userError } from './user-errors.ts';
import { userStore } from './user-store.ts';

/** What people did, as they and administrators see it, and as services report it. */
export type UserActivity = ReturnType<typeof createUserActivity>;

const MAX_MEMBERS = 32;
/** Names a secret goes by; the audit trail refuses them, see events/event-data.ts. */
const SECRET = /^(password|secret|client_?secret|token|access_token|refresh_token|id_token|private_jwk)$/i;

export const activitySchema = z.strictObject({
  activity: z
    .string()
    .regex(/^[a-z][a-z0-9_.]{0,63}$/, 'must be a name such as invoice.paid')
    .meta({ description: 'What the person did.' }),
  data: z
    .record(
      z
        .string()
        .min(1)
        .max(64)
        .refine((name) => !SECRET.test(name), 'is the name of a secret'),
      z.union([z.string().max(500), z.number(), z.boolean(), z.null()]),
    )
    .refine(
      (data) => Object.keys(data).length <= MAX_MEMBERS,
      `must not have more than ${MAX_MEMBERS} members`,
    )
    .default({}),
});

export interface ActivitySummary {
  lastLoginAt: Date | null;
  logins: number;
  failedLogins: number;
  recent: UserEvent[];
}

const SUMMARY_DAYS = 30;
const MOST_RECENT = 10;

export function createUserActivity({ db, now }: { db: Db; now: Clock }) {
  return {
    /** Newest first. @throws {AppError} `user.not_found` */
    async list(
      actor: Actor,
      userId: string,
      page: { before?: string | undefined; limit: number },
    ): Promise<UserEvent[]> {
      if (!(await userStore(db, actor.tenantId).find(userId))) throw userError('not_found');
      return userEvents(db, actor.tenantId).list(userId, page);
    },

    /** Of the last 30 days, for a dashboard. */
    async summary(actor: Actor, userId: string): Promise<ActivitySummary> {
      const events = userEvents(db, actor.tenantId);
      const since = later(now(), -days(SUMMARY_DAYS));
      const [counts, recent] = await Promise.all([
        events.counts(userId, ['user.login', 'user.login_failed'], since),
        events.list(userId, { limit: MOST_RECENT }),
      ]);
      return {
        lastLoginAt: counts.get('user.login')?.lastAt ?? null,
        logins: counts.get('user.login')?.count ?? 0,
        failedLogins: counts.get('user.login_failed')?.count ?? 0,
        recent,
      };
    },

    /** @throws {AppError} `user.not_found` */
    async record(
      actor: Actor,
      userId: string,
      { activity, data }: z.output<typeof activitySchema>,
    ): Promise<void> {
      await db.transaction(async (trx) => {
        if (!(await userStore(trx, actor.tenantId).find(userId))) throw userError('not_found');
        await recordEvent(trx, actor, 'user.activity', {
          target: { type: 'user', id: userId },
          reason: activity,
          data,
        });
      });
    },
  };
}
