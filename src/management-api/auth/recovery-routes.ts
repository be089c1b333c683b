import Router from '@koa/router';
import { z } from 'zod';
import type { ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { newSecret } from '../../lib/ids.ts';
import type { PasswordReset } from '../../recovery/password-reset.ts';
import { acceptableEmail } from '../../users/user-input.ts';
import {
  codeField,
  emailField,
  EXAMPLE_SENT,
  EXAMPLE_TOKEN,
  JUDGING,
  localeField,
  localeOf,
  MAILED_TAG,
  passwordField,
  requestToken,
  requireCodeOrProof,
  requireMail,
  SENDING,
  sendReply,
  sentBody,
} from './mailed-codes.ts';
import { tooManyAttempts } from './api-sessions.ts';

/** Setting a new password, by a code that is sent by mail; each path also under its longer name. */
export interface RecoveryDeps {
  passwordReset: PasswordReset;
  canSendMail: boolean;
}

export function recoveryRoutes({ passwordReset, canSendMail }: RecoveryDeps) {
  const router = new Router<ApiRequestState>();

  for (const { path, id } of [
    { path: '/forgot-password', id: 'forgotPassword' },
    { path: '/password/reset/initiate', id: 'initiatePasswordReset' },
  ]) {
    router.post(
      path,
      endpoint({
        id,
        summary: `Ask for a new password${id === 'forgotPassword' ? '' : ' (alias of forgot-password)'}`,
        description: 'Sends a code to the address of the account, if there is one.',
        tag: MAILED_TAG,
        permission: 'public',
        body: z.strictObject({ email: emailField, locale: localeField }),
        reply: sendReply,
        errors: SENDING,
        example: { body: { email: 'ana@example.com' }, reply: EXAMPLE_SENT },
        async handle({ ctx, actor, body }) {
          requireMail(canSendMail);
          const request = { email: acceptableEmail(body.email), binding: newSecret() };
          const sent = await passwordReset.start(actor, { ...request, locale: localeOf(ctx, body.locale) });
          return { body: sentBody(sent, request.binding) };
        },
      }),
    );
  }

  for (const { path, id } of [
    { path: '/reset-password', id: 'resetPassword' },
    { path: '/password/reset/complete', id: 'completePasswordReset' },
  ]) {
    router.post(
      path,
      endpoint({
        id,
        summary: `Set a new password${id === 'resetPassword' ? '' : ' (alias of reset-password)'}`,
        description:
          'Ends every session and grant of the account. When the password is refused, send the request again with another one within 15 minutes.',
        tag: MAILED_TAG,
        permission: 'public',
        body: z.strictObject({ request_token: requestToken, code: codeField, password: passwordField }),
        reply: { status: 204, description: 'The password is set; sign in with it.' },
        errors: [
          ...JUDGING,
          'password.unacceptable',
          'password.busy',
          'auth.too_many_attempts',
          'recovery.not_proved',
        ],
        example: {
          body: { request_token: EXAMPLE_TOKEN, code: '482913', password: 'correct horse battery staple' },
        },
        async handle({ ctx, actor, body }) {
          const proof = { binding: body.request_token, code: body.code };
          const check = await passwordReset.check(actor, proof);
          if (!check.ok && check.reason === 'throttled') throw tooManyAttempts(check.retryAfterSeconds);
          requireCodeOrProof(check);
          const how = { password: body.password, endsAccess: true, locale: localeOf(ctx, undefined) };
          await passwordReset.complete(actor, { binding: body.request_token }, how);
          return {};
        },
      }),
    );
  }

  return router;
}
