import Router from '@koa/router';
import { z } from 'zod';
import type { AccessService } from '../access/access-service.ts';
import type { ApiRequestState } from '../http/caller.ts';
import { endpoint } from '../http/endpoint.ts';
import { EXAMPLE_EVENT, presentEvent, userEventSchema } from '../users/event-representation.ts';
import type { UserActivity } from '../users/user-activity.ts';
import { EXAMPLE_USER, presentUser, userId, userSchema } from '../users/user-representation.ts';
import type { UserService } from '../users/user-service.ts';

export interface DashboardDeps {
  users: UserService;
  access: AccessService;
  activity: UserActivity;
}

const dashboardSchema = z
  .object({
    user: userSchema,
    roles: z.array(z.string()),
    last_login_at: z.string().nullable(),
    logins_30_days: z.number().int(),
    failed_logins_30_days: z.number().int(),
    recent_activity: z.array(userEventSchema),
  })
  .meta({ id: 'Dashboard' });

/** `/users/{id}/dashboard`, which joins what several features know. */
export function dashboardRoutes({ users, access, activity }: DashboardDeps) {
  const router = new Router<ApiRequestState>({ prefix: '/users' });

  router.get(
    '/:id/dashboard',
    endpoint({
      id: 'getDashboard',
      summary: 'Read the overview of an account',
      description: 'Counts are of the last 30 days and end at 1000.',
      tag: 'Account',
      permission: { owner: 'id', own: 'account:read', others: 'users:read' },
      params: z.object({ id: userId }),
      reply: { status: 200, description: 'The overview.', schema: dashboardSchema },
      errors: ['user.not_found'],
      example: {
        params: { id: EXAMPLE_USER.id },
        reply: {
          user: EXAMPLE_USER,
          roles: [],
          last_login_at: EXAMPLE_EVENT.at,
          logins_30_days: 12,
          failed_logins_30_days: 1,
          recent_activity: [EXAMPLE_EVENT],
        },
      },
      async handle({ actor, params: { id } }) {
        const isOwn = actor.type === 'user' && actor.id === id;
        const [user, roles, summary] = await Promise.all([
          users.getWithProfile(actor, id),
          // One's own were read to know who calls.
          isOwn ? actor.roles : access.rolesOf(actor, id),
          activity.summary(actor, id),
        ]);
        return {
          body: {
            user: presentUser(user),
            roles: [...roles],
            last_login_at: summary.lastLoginAt?.toISOString() ?? null,
            logins_30_days: summary.logins,
            failed_logins_30_days: summary.failedLogins,
            recent_activity: summary.recent.map(presentEvent),
          },
        };
      },
    }),
  );

  return router;
}
