import Router from '@koa/router';
import { z } from 'zod';
import type { AccessService } from '../../access/access-service.ts';
import type { ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { preferencesSchema } from '../../users/preferences.ts';
import type { PreferenceService } from '../../users/preferences.ts';
import { activitySchema } from '../../users/user-activity.ts';
import type { UserActivity } from '../../users/user-activity.ts';
import { EXAMPLE_USER, presentUser, userId, userSchema } from '../../users/user-representation.ts';
import type { UserService } from '../../users/user-service.ts';

/** Who somebody is and what they may do: for themselves, and for the services they use. */
export interface AuthAccountDeps {
  users: UserService;
  access: AccessService;
  preferences: PreferenceService;
  activity: UserActivity;
}

const tag = 'Identity';
const params = z.object({ user_id: userId });
const EXAMPLE_PARAMS = { user_id: EXAMPLE_USER.id };
const OWN_OR_ACCESS = { owner: 'user_id', own: 'account:read', others: 'access:read' } as const;

const rolesSchema = z.array(z.string()).meta({ description: 'Names, sorted.' });
const permissionsSchema = z.array(z.string()).meta({ description: 'What the roles allow.' });

export function authAccountRoutes({ users, access, preferences, activity }: AuthAccountDeps) {
  const router = new Router<ApiRequestState>();

  router.get(
    '/me',
    endpoint({
      id: 'me',
      summary: 'Who one is',
      tag,
      permission: 'account:read',
      reply: {
        status: 200,
        description: 'The user of the token, and what they may do with it.',
        schema: z.object({
          user: userSchema,
          roles: rolesSchema,
          permissions: z.array(z.string()).meta({ description: 'What roles and token together allow.' }),
          client_id: z.string(),
          scope: z.string(),
        }),
      },
      errors: [],
      example: {
        reply: {
          user: EXAMPLE_USER,
          roles: [],
          permissions: ['account:read'],
          client_id: 'shop',
          scope: 'account:read',
        },
      },
      async handle({ actor }) {
        const user = presentUser(await users.getWithProfile(actor, actor.id));
        const { roles, permissions } = await access.accessOf(actor, actor.id);
        return {
          body: {
            user,
            roles,
            permissions: permissions.filter((permission) => actor.scopes.has(permission)),
            client_id: actor.clientId,
            scope: [...actor.scopes].join(' '),
          },
        };
      },
    }),
  );

  router.get(
    '/roles/:user_id',
    endpoint({
      id: 'getRoles',
      summary: 'Read somebody’s roles',
      tag,
      permission: OWN_OR_ACCESS,
      params,
      reply: {
        status: 200,
        description: 'The roles.',
        schema: z.object({ user_id: userId, roles: rolesSchema }),
      },
      errors: ['user.not_found'],
      example: { params: EXAMPLE_PARAMS, reply: { user_id: EXAMPLE_USER.id, roles: ['administrator'] } },
      async handle({ actor, params: { user_id: id } }) {
        const user = await users.get(actor, id);
        return { body: { user_id: id, roles: await access.rolesOf(actor, user.id) } };
      },
    }),
  );

  router.get(
    '/permissions/:user_id',
    endpoint({
      id: 'getPermissions',
      summary: 'Read what somebody may do',
      tag,
      permission: OWN_OR_ACCESS,
      params,
      reply: {
        status: 200,
        description: 'The permissions, and the roles they come from.',
        schema: z.object({ user_id: userId, roles: rolesSchema, permissions: permissionsSchema }),
      },
      errors: ['user.not_found'],
      example: {
        params: EXAMPLE_PARAMS,
        reply: { user_id: EXAMPLE_USER.id, roles: [], permissions: ['account:read', 'account:write'] },
      },
      async handle({ actor, params: { user_id: id } }) {
        const user = await users.get(actor, id);
        return { body: { user_id: id, ...(await access.accessOf(actor, user.id)) } };
      },
    }),
  );

  router.get(
    '/users/:user_id/context',
    endpoint({
      id: 'getUserContext',
      summary: 'Read what a service needs to know of a user',
      description: 'The user with roles, permissions and preferences, in one request.',
      tag,
      permission: { owner: 'user_id', own: 'account:read', others: 'users:read' },
      params,
      reply: {
        status: 200,
        description: 'The context.',
        schema: z.object({
          user: userSchema,
          roles: rolesSchema,
          permissions: permissionsSchema,
          preferences: preferencesSchema,
        }),
      },
      errors: ['user.not_found'],
      example: {
        params: EXAMPLE_PARAMS,
        reply: {
          user: EXAMPLE_USER,
          roles: [],
          permissions: ['account:read'],
          preferences: { locale: 'pt' },
        },
      },
      async handle({ actor, params: { user_id: id } }) {
        const user = presentUser(await users.getWithProfile(actor, id));
        const { roles, permissions } = await access.accessOf(actor, id);
        return { body: { user, roles, permissions, preferences: await preferences.get(actor, id) } };
      },
    }),
  );

  router.post(
    '/users/:user_id/activity',
    endpoint({
      id: 'recordActivity',
      summary: 'Record what a user did',
      description: 'Becomes an event of the audit trail, and part of the activity of the account.',
      tag,
      permission: { owner: 'user_id', own: 'account:write', others: 'activity:write' },
      params,
      idempotent: true,
      body: activitySchema,
      reply: { status: 204, description: 'It is recorded.' },
      errors: ['user.not_found'],
      example: { params: EXAMPLE_PARAMS, body: { activity: 'invoice.paid', data: { invoice: '2026-17' } } },
      async handle({ actor, params: { user_id: id }, body }) {
        await activity.record(actor, id, body);
        return {};
      },
    }),
  );

  return router;
}
