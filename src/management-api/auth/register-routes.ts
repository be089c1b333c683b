import Router from '@koa/router';
import { z } from 'zod';
import type { Actor } from '../../http/actor.ts';
import type { ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import type { Invitations } from '../../sign-up/invitation.ts';
import { CREATION_ERRORS, newUserFields, newUserOf } from '../../users/new-user.ts';
import { acceptableEmail } from '../../users/user-input.ts';
import { EXAMPLE_USER, presentUser, userSchema } from '../../users/user-representation.ts';
import type { UserService } from '../../users/user-service.ts';
import { localeField, localeOf, passwordField } from './mailed-codes.ts';

export interface RegisterDeps {
  users: UserService;
  invitations: Invitations;
}

const registerBody = z
  .strictObject({
    ...newUserFields,
    password: passwordField.optional(),
    invite: z.boolean().optional().meta({
      description:
        'Mails the person a link, good for a week, by which they choose a password; until then they are pending.',
    }),
    locale: localeField,
  })
  .superRefine((body, context) => {
    const misplaced = body.invite
      ? (['password', 'status', 'email_verified'] as const)
      : (['locale'] as const);
    for (const name of misplaced) {
      if (body[name] === undefined) continue;
      const message = body.invite ? 'is decided by who is invited' : 'is of the mail, which `invite` sends';
      context.addIssue({ code: 'custom', path: [name], message });
    }
  });

/** Accounts that administrators make for others: by an invitation, with a temporary password, or without one. */
export function registerRoutes({ users, invitations }: RegisterDeps) {
  const router = new Router<ApiRequestState>();

  router.post(
    '/register',
    endpoint({
      id: 'register',
      summary: 'Add a user or invite one (as administrators do)',
      description:
        'With `invite`, the person gets a link by mail and chooses a password; somebody who is pending already gets a new link, the old one ends, and nothing else of them changes. With `password`, they sign in on a page of this server and choose their own there, before which it gives no tokens. With neither they get one by `forgot-password`.',
      tag: 'Users',
      permission: 'users:write',
      idempotent: true,
      body: registerBody,
      reply: { status: 201, description: 'The user.', schema: userSchema },
      tagged: true,
      errors: [
        ...CREATION_ERRORS,
        'password.unacceptable',
        'password.busy',
        'invitation.no_mail',
        'invitation.not_pending',
      ],
      example: {
        body: { email: 'ana@example.com', invite: true, profile: { name: 'Ana Lima', locale: 'en' } },
        reply: { ...EXAMPLE_USER, email_verified: false, status: 'pending' },
      },
      async handle({ ctx, actor, body }) {
        const { id } = body.invite
          ? await invite(actor, body, localeOf(ctx, body.locale))
          : await users.create(actor, {
              ...newUserOf(body),
              password: body.password,
              isTemporaryPassword: true,
            });
        return { body: presentUser(await users.getWithProfile(actor, id)) };
      },
    }),
  );

  return router;

  function invite(actor: Actor, { email, profile }: z.output<typeof registerBody>, locale: string) {
    return invitations.invite(actor, { email: acceptableEmail(email), claims: profile, locale });
  }
}
