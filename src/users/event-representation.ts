import { z } from 'zod';
import type { UserEvent } from '../events/user-events.ts';

/** An event of the audit trail as the person it is about may see it. */
export const userEventSchema = z
  .object({
    id: z.uuid(),
    type: z.string().meta({ description: 'See docs/events.md.' }),
    at: z.string().meta({ format: 'date-time' }),
    by_user: z.boolean().meta({ description: 'Done by the person themselves.' }),
    about_user: z.boolean().meta({ description: 'False: the person did it to another account.' }),
    reason: z.string().nullable(),
    ip: z.string().nullable().meta({ description: 'Of the person’s own requests.' }),
    user_agent: z.string().nullable(),
    data: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'What a service reported with `user.activity`.' }),
  })
  .meta({ id: 'UserEvent' });

export function presentEvent(event: UserEvent) {
  return {
    id: event.id,
    type: event.type,
    at: event.at.toISOString(),
    by_user: event.byUser,
    about_user: event.aboutUser,
    reason: event.reason,
    ip: event.ip,
    user_agent: event.userAgent,
    // Other events name clients, administrators and the like, which are not everybody's to know.
    ...(event.type === 'user.activity' ? { data: event.data } : {}),
  };
}

export const EXAMPLE_EVENT = {
  id: '01938f6b-7a1c-7d5e-9b3a-2f4c6d8e0a1d',
  type: 'user.login',
  at: '2026-11-25T10:00:00.000Z',
  by_user: true,
  about_user: true,
  reason: null,
  ip: '192.0.2.7',
  user_agent: 'Mozilla/5.0',
};
