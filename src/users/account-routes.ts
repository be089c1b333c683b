import Router from '@koa/router';
import { z } from 'zod';
import type { ApiRequestState } from '../http/caller.ts';
import { endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/page-cursors.ts';
import type { PageCursors } from '../http/page-cursors.ts';
import { EXAMPLE_EVENT, presentEvent, userEventSchema } from './event-representation.ts';
import { preferencesPatch, preferencesSchema } from './preferences.ts';
import type { PreferenceService } from './preferences.ts';
import type { UserActivity } from './user-activity.ts';
import { EXAMPLE_USER, presentUser, profilePatch, userId, userSchema } from './user-representation.ts';
import type { UserService } from './user-service.ts';

/** What people see and change of their own account, and administrators of anybody's. */
export interface AccountRoutesDeps {
  users: UserService;
  preferences: PreferenceService;
  activity: UserActivity;
  cursors: PageCursors;
}

const tag = 'Account';
const params = z.object({ id: userId });
const EXAMPLE_PARAMS = { id: EXAMPLE_USER.id };
const EXAMPLE_PREFERENCES = { locale: 'pt', theme: 'dark', custom: { 'shop.currency': 'EUR' } };
const READ = { owner: 'id', own: 'account:read', others: 'users:read' } as const;
const WRITE = { owner: 'id', own: 'account:write', others: 'users:write' } as const;

export function accountRoutes({ users, preferences, activity, cursors }: AccountRoutesDeps) {
  const router = new Router<ApiRequestState>({ prefix: '/users' });

  router.post(
    '/profile',
    endpoint({
      id: 'updateOwnProfile',
      summary: 'Change one’s own profile',
      description:
        'What is left out stays, `null` removes a claim. The address is changed by a way of its own.',
      tag,
      permission: 'account:write',
      ifMatch: 'optional',
      body: profilePatch,
      reply: { status: 200, description: 'The user as changed.', schema: userSchema },
      tagged: true,
      errors: ['user.not_found'],
      example: { body: { name: 'Ana Lima', locale: 'en' }, reply: EXAMPLE_USER },
      async handle({ actor, body, checkMatch }) {
        const changed = await users.update(actor, actor.id, { claims: body }, (current) =>
          checkMatch(presentUser(current)),
        );
        return { body: presentUser(changed) };
      },
    }),
  );

  router.get(
    '/:id/preferences',
    endpoint({
      id: 'getPreferences',
      summary: 'Read preferences',
      tag,
      permission: READ,
      params,
      reply: { status: 200, description: 'The preferences.', schema: preferencesSchema },
      tagged: true,
      errors: ['user.not_found'],
      example: { params: EXAMPLE_PARAMS, reply: EXAMPLE_PREFERENCES },
      async handle({ actor, params: { id } }) {
        return { body: await preferences.get(actor, id) };
      },
    }),
  );

  router.patch(
    '/:id/preferences',
    endpoint({
      id: 'updatePreferences',
      summary: 'Change preferences',
      tag,
      permission: WRITE,
      params,
      ifMatch: 'optional',
      body: preferencesPatch,
      reply: { status: 200, description: 'The preferences as changed.', schema: preferencesSchema },
      tagged: true,
      errors: ['user.not_found', 'user.preferences_too_large'],
      example: { params: EXAMPLE_PARAMS, body: EXAMPLE_PREFERENCES, reply: EXAMPLE_PREFERENCES },
      async handle({ actor, params: { id }, body, checkMatch }) {
        return { body: await preferences.update(actor, id, body, checkMatch) };
      },
    }),
  );

  router.get(
    '/:id/activity',
    endpoint({
      id: 'listActivity',
      summary: 'List what happened in an account',
      description: 'Newest first.',
      tag,
      permission: READ,
      params,
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(100).default(20),
        cursor: z.string().max(500).optional().meta({ description: '`next_cursor` of the page before.' }),
      }),
      reply: {
        status: 200,
        description: 'A page of events.',
        schema: z.object({ events: z.array(userEventSchema), next_cursor: z.string().nullable() }),
      },
      errors: ['user.not_found', 'http.invalid_cursor'],
      example: {
        params: EXAMPLE_PARAMS,
        query: { limit: 1 },
        reply: { events: [EXAMPLE_EVENT], next_cursor: null },
      },
      async handle({ actor, params: { id }, query }) {
        const list = `activity ${actor.tenantId} ${id}`;
        const before = query.cursor === undefined ? undefined : cursors.read(list, query.cursor);
        const rows = await activity.list(actor, id, { before, limit: query.limit + 1 });
        const page = pageOf(rows, query.limit, (last) => cursors.write(list, last.id));
        return { body: { events: page.items.map(presentEvent), next_cursor: page.nextCursor } };
      },
    }),
  );

  return router;
}
