import Router from '@koa/router';
import { z } from 'zod';
import type { ApiContext, ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { defineErrors } from '../../lib/errors.ts';
import { newSecret } from '../../lib/ids.ts';
import { tenantProviderOf } from '../../oidc/tenant-state.ts';
import type { PasswordReset, ResetCheck } from '../../recovery/password-reset.ts';
import { signUpError } from '../../sign-up/sign-up.ts';
import type { SignUp } from '../../sign-up/sign-up.ts';
import { acceptableEmail } from '../../users/user-input.ts';
import { EXAMPLE_USER, presentUser, userSchema } from '../../users/user-representation.ts';
import type { UserService } from '../../users/user-service.ts';
import { tooManyAttempts } from './session-service.ts';

/**
 * Signing up and setting a new password, by codes that are sent by mail. What a request answers is bound to the
 * code: the code alone is worth nothing to whoever reads the mail, and neither answer nor time tells who exists.
 */
export interface RecoveryDeps {
  signUp: SignUp;
  passwordReset: PasswordReset;
  users: UserService;
  /** Without a mail server no code arrives. */
  canSendMail: boolean;
}

const fail = defineErrors('auth', {
  mail_unavailable: { status: 503, message: 'This server sends no mail, so it cannot send a code.' },
  too_many_mails: { status: 429, message: 'This address was sent several codes. Wait, then try again.' },
  code_wrong: { status: 400, message: 'This is not the code that was sent.' },
  code_expired: { status: 410, message: 'This code has expired or was tried too often. Ask for a new one.' },
});

const tag = 'Sign-up and recovery';
const email = z.string().min(1).max(320);
const locale = z.enum(['en', 'de', 'fr', 'es', 'ar']).optional().meta({ description: 'Of the mail.' });
const binding = z.string().regex(/^[\w-]{43}$/, 'is not a token that this API gave out');
const code = z.string().min(1).max(40);
const password = z.string().min(1).max(1024);
const sentSchema = z.object({
  request_token: z.string().meta({ description: 'Goes with the code; nobody else can use it.' }),
  expires_in: z.number().int().meta({ description: 'Seconds the code is good for.' }),
});
const EXAMPLE_TOKEN = 'mSx0nVZ0mJm0Vb0q2m3l1eY2m8mC2Qk8b4Yy3bVx1aE';
const SENT = { request_token: EXAMPLE_TOKEN, expires_in: 600 };
const CODE_SECONDS = 600;
const SENDING = ['auth.mail_unavailable', 'auth.too_many_mails', 'user.email_invalid'];
const SETTING = ['auth.code_wrong', 'auth.code_expired', 'password.unacceptable', 'password.busy'];
const SIGNING_UP = ['sign_up.closed', 'sign_up.domain_not_allowed'];
const sendReply = {
  status: 202,
  description: 'A code is on its way, if there is somebody to send it to.',
  schema: sentSchema,
} as const;

export function recoveryRoutes({ signUp, passwordReset, users, canSendMail }: RecoveryDeps) {
  const router = new Router<ApiRequestState>();

  router.post(
    '/signup',
    endpoint({
      id: 'signUp',
      summary: 'Sign up',
      description:
        'Sends a code to the address; `verify-email` takes it and makes the account. Who has an account already is told so by the mail alone.',
      tag,
      permission: 'public',
      body: z.strictObject({ email, locale }),
      reply: sendReply,
      errors: [...SENDING, ...SIGNING_UP],
      example: { body: { email: 'ana@example.com' }, reply: SENT },
      async handle({ ctx, actor, body }) {
        return { body: await startSignUp(ctx, actor, { ...body, request_token: newSecret() }) };
      },
    }),
  );

  router.post(
    '/resend-verification',
    endpoint({
      id: 'resendVerification',
      summary: 'Send the code of a sign-up once more',
      description: 'The code sent before ends.',
      tag,
      permission: 'public',
      body: z.strictObject({ email, request_token: binding, locale }),
      reply: sendReply,
      errors: [...SENDING, ...SIGNING_UP],
      example: { body: { email: 'ana@example.com', request_token: EXAMPLE_TOKEN }, reply: SENT },
      async handle({ ctx, actor, body }) {
        return { body: await startSignUp(ctx, actor, body) };
      },
    }),
  );

  router.post(
    '/verify-email',
    endpoint({
      id: 'verifyEmail',
      summary: 'Prove the address and make the account',
      description: 'When the password is refused, send the request again with another one within 15 minutes.',
      tag,
      permission: 'public',
      body: z.strictObject({
        request_token: binding,
        code,
        password,
        profile: userSchema.shape.profile.optional(),
      }),
      reply: { status: 201, description: 'The user, who can sign in now.', schema: userSchema },
      errors: [...SETTING, 'sign_up.not_proved', 'sign_up.existing', 'user.claims_invalid'],
      example: {
        body: {
          request_token: EXAMPLE_TOKEN,
          code: '482913',
          password: 'correct horse battery staple',
          profile: { name: 'Ana Lima', locale: 'en' },
        },
        reply: EXAMPLE_USER,
      },
      async handle({ actor, body }) {
        requireCode(await signUp.check(actor, { binding: body.request_token, code: body.code }));
        const account = { password: body.password, claims: body.profile ?? {} };
        const user = await signUp.complete(actor, body.request_token, account);
        return { body: presentUser(await users.getWithProfile(actor, user.id)) };
      },
    }),
  );

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
        tag,
        permission: 'public',
        body: z.strictObject({ email, locale }),
        reply: sendReply,
        errors: SENDING,
        example: { body: { email: 'ana@example.com' }, reply: SENT },
        async handle({ ctx, actor, body }) {
          if (!canSendMail) throw fail('mail_unavailable');
          const request = { email: acceptableEmail(body.email), binding: newSecret() };
          const sent = await passwordReset.start(actor, { ...request, locale: localeOf(ctx, body.locale) });
          if (!sent.ok) throw fail('too_many_mails', { retryAfterSeconds: sent.retryAfterSeconds });
          return { body: { request_token: request.binding, expires_in: CODE_SECONDS } };
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
        tag,
        permission: 'public',
        body: z.strictObject({ request_token: binding, code, password }),
        reply: { status: 204, description: 'The password is set; sign in with it.' },
        errors: [...SETTING, 'auth.too_many_attempts', 'recovery.not_proved'],
        example: {
          body: { request_token: EXAMPLE_TOKEN, code: '482913', password: 'correct horse battery staple' },
        },
        async handle({ ctx, actor, body }) {
          requireCode(await passwordReset.check(actor, { binding: body.request_token, code: body.code }));
          const how = { password: body.password, endsAccess: true, locale: localeOf(ctx, undefined) };
          await passwordReset.complete(actor, { binding: body.request_token }, how);
          return {};
        },
      }),
    );
  }

  return router;

  async function startSignUp(
    ctx: ApiContext,
    actor: Parameters<SignUp['start']>[0],
    body: { email: string; request_token: string; locale?: string | undefined },
  ) {
    if (!canSendMail) throw fail('mail_unavailable');
    const { settings } = tenantProviderOf(ctx).tenant;
    const request = { email: acceptableEmail(body.email), binding: body.request_token };
    const started = await signUp.start(actor, settings, { ...request, locale: localeOf(ctx, body.locale) });
    if (started.ok) return { request_token: request.binding, expires_in: CODE_SECONDS };
    if (started.reason !== 'throttled') throw signUpError(started.reason);
    throw fail('too_many_mails', { retryAfterSeconds: started.retryAfterSeconds });
  }
}

/** Of a code that was right before, what follows tells whether its proof still holds. */
function requireCode(check: ResetCheck): void {
  if (check.ok || check.reason === 'spent') return;
  if (check.reason === 'throttled') throw tooManyAttempts(check.retryAfterSeconds);
  throw fail(check.reason === 'wrong' ? 'code_wrong' : 'code_expired');
}

/** What the request says, or the tenant: cookies and the like are a browser's affair. */
function localeOf(ctx: ApiContext, asked: string | undefined): string {
  return asked ?? tenantProviderOf(ctx).tenant.settings.locale;
}
