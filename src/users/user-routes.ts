import Router from '@koa/router';
import { z } from 'zod';
import type { ApiRequestState } from '../http/caller.ts';
import { endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/page-cursors.ts';
import type { PageCursors } from '../http/page-cursors.ts';
import { CREATION_ERRORS, EXAMPLE_NEW_USER, newUserFields, newUserOf } from './new-user.ts';
import {
  EXAMPLE_SUMMARY,
  EXAMPLE_USER,
  presentSummary,
  presentUser,
  profilePatch,
  statusSchema,
  userId,
  userSchema,
  userSummarySchema,
} from './user-representation.ts';
import type { UserService } from './user-service.ts';

/** Users, for administrators and for services that keep them. */

const params = z.object({ id: userId });
const { email } = newUserFields;
const reason = z.string().trim().min(1).max(200).optional().meta({ description: 'For the audit trail.' });
const tag = 'Users';
const EXAMPLE_PARAMS = { id: EXAMPLE_USER.id };
const NOT_FOUND = 'user.not_found';

export function userRoutes({ users, cursors }: { users: UserService; cursors: PageCursors }) {
  const router = new Router<ApiRequestState>({ prefix: '/users' });
  const list = (tenantId: string) => `users ${tenantId}`;

  router.get(
    '/',
    endpoint({
      id: 'listUsers',
      summary: 'List users',
      description: 'In the order they were made. Deleted users are not among them.',
      tag,
      permission: 'users:read',
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(500).optional().meta({ description: '`next_cursor` of the page before.' }),
        email: email.optional().meta({ description: 'Exactly this address, in any case.' }),
        search: z
          .string()
          .trim()
          .min(1)
          .max(320)
          .optional()
          .meta({ description: 'The beginning of the address, in any case.' }),
        status: statusSchema.exclude(['deleted']).optional(),
      }),
      reply: {
        status: 200,
        description: 'A page of users.',
        schema: z.object({
          users: z.array(userSummarySchema),
          next_cursor: z.string().nullable().meta({ description: 'Null on the last page.' }),
        }),
      },
      errors: ['http.invalid_cursor'],
      example: { query: { limit: 2 }, reply: { users: [EXAMPLE_SUMMARY], next_cursor: null } },
      async handle({ actor, query }) {
        const name = list(actor.tenantId);
        const after = query.cursor === undefined ? undefined : cursors.read(name, query.cursor);
        const filter = { email: query.email, emailPrefix: query.search, status: query.status };
        const rows = await users.list(actor, { after, limit: query.limit + 1 }, filter);
        const page = pageOf(rows, query.limit, ({ id }) => cursors.write(name, id));
        return { body: { users: page.items.map(presentSummary), next_cursor: page.nextCursor } };
      },
    }),
  );

  router.post(
    '/',
    endpoint({
      id: 'createUser',
      summary: 'Add a user',
      description:
        'Without a password: the user gets one by `forgot-password`. To invite somebody, see `register`.',
      tag,
      permission: 'users:write',
      idempotent: true,
      body: z.strictObject(newUserFields),
      reply: { status: 201, description: 'The user.', schema: userSchema },
      tagged: true,
      errors: CREATION_ERRORS,
      example: { body: EXAMPLE_NEW_USER, reply: EXAMPLE_USER },
      async handle({ actor, body }) {
        const user = await users.create(actor, newUserOf(body));
        return { body: presentUser(await users.getWithProfile(actor, user.id)) };
      },
    }),
  );

  router.get(
    '/:id',
    endpoint({
      id: 'getUser',
      summary: 'Read a user',
      tag,
      permission: { owner: 'id', own: 'account:read', others: 'users:read' },
      params,
      reply: { status: 200, description: 'The user.', schema: userSchema },
      tagged: true,
      errors: [NOT_FOUND],
      example: { params: EXAMPLE_PARAMS, reply: EXAMPLE_USER },
      async handle({ actor, params: { id } }) {
        return { body: presentUser(await users.getWithProfile(actor, id)) };
      },
    }),
  );

  router.patch(
    '/:id',
    endpoint({
      id: 'updateUser',
      summary: 'Change a user',
      description:
        'What is left out stays. A new address counts as unverified unless `email_verified` says otherwise.',
      tag,
      permission: 'users:write',
      params,
      ifMatch: 'required',
      body: z.strictObject({
        email: email.optional(),
        email_verified: z.boolean().optional(),
        profile: profilePatch.optional(),
      }),
      reply: { status: 200, description: 'The user as changed.', schema: userSchema },
      tagged: true,
      errors: [NOT_FOUND, 'user.email_invalid', 'user.email_taken'],
      example: { params: EXAMPLE_PARAMS, body: { profile: { name: 'Ana Lima' } }, reply: EXAMPLE_USER },
      async handle({ actor, params: { id }, body, checkMatch }) {
        const patch = { email: body.email, emailVerified: body.email_verified, claims: body.profile };
        const changed = await users.update(actor, id, patch, (current) => checkMatch(presentUser(current)));
        return { body: presentUser(changed) };
      },
    }),
  );

  const transition = (
    name: 'disable' | 'enable' | 'lock' | 'unlock',
    { summary, description }: { summary: string; description: string },
  ) =>
    router.post(
      `/:id/${name}`,
      endpoint({
        id: `${name}User`,
        summary,
        description,
        tag,
        permission: 'users:write',
        params,
        idempotent: true,
        body: z.strictObject({ reason }),
        reply: { status: 200, description: 'The user as changed.', schema: userSchema },
        tagged: true,
        errors: [NOT_FOUND],
        example: { params: EXAMPLE_PARAMS, body: {}, reply: EXAMPLE_USER },
        async handle({ actor, params: { id }, body }) {
          if (name === 'disable') await users.disable(actor, id, { reason: body.reason });
          else if (name === 'enable') await users.enable(actor, id);
          else if (name === 'lock')
            await users.lock(actor, id, { cause: 'administrator', reason: body.reason });
          else await users.unlock(actor, id, { reason: 'administrator' });
          return { body: presentUser(await users.getWithProfile(actor, id)) };
        },
      }),
    );
  transition('disable', {
    summary: 'Disable a user',
    description: 'Ends sessions, grants and tokens at once, and refuses new ones.',
  });
  transition('enable', {
    summary: 'Enable a user',
    description: 'Lets somebody sign in who was disabled, locked or pending.',
  });
  transition('lock', {
    summary: 'Lock a user',
    description: 'Ends all access until somebody unlocks the account.',
  });
  transition('unlock', {
    summary: 'Unlock a user',
    description: 'Opens a locked account and forgets failed sign-ins.',
  });

  router.delete(
    '/:id',
    endpoint({
      id: 'deleteUser',
      summary: 'Delete a user',
      description:
        'Ends all access and frees the address. What is personal is erased later; see docs/operations.md.',
      tag,
      permission: 'users:delete',
      params,
      reply: { status: 204, description: 'The user is deleted.' },
      errors: [NOT_FOUND],
      example: { params: EXAMPLE_PARAMS },
      async handle({ actor, params: { id } }) {
        await users.delete(actor, id);
        return {};
      },
    }),
  );

  return router;
}
