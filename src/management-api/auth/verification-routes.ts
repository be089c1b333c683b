import Router from '@koa/router';
import { z } from 'zod';
import type { Actor } from '../../http/actor.ts';
import type { ApiContext, ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { defineErrors } from '../../lib/errors.ts';
import { newSecret } from '../../lib/ids.ts';
import type { OneTimeCodes } from '../../one-time-codes/one-time-codes.ts';
import { tenantProviderOf } from '../../oidc/tenant-state.ts';
import type { EmailVerification } from '../../recovery/email-verification.ts';
import { signUpError } from '../../sign-up/sign-up.ts';
import type { SignUp } from '../../sign-up/sign-up.ts';
import { acceptableEmail } from '../../users/user-input.ts';
import {
  EXAMPLE_SUMMARY,
  presentSummary,
  userSchema,
  userSummarySchema,
} from '../../users/user-representation.ts';
import {
  codeField,
  emailField,
  EXAMPLE_SENT,
  EXAMPLE_TOKEN,
  JUDGING,
  localeField,
  localeOf,
  MAILED_TAG as tag,
  passwordField,
  requestToken,
  requireCode,
  requireCodeOrProof,
  requireMail,
  SENDING,
  sendReply,
  sentBody,
} from './mailed-codes.ts';

/**
 * The proof that somebody reads an address: to make an account with it, or for an account that has it. Which of
 * the two a code is for is known by the token it was asked with.
 */
export interface VerificationDeps {
  signUp: SignUp;
  emailVerification: EmailVerification;
  codes: Pick<OneTimeCodes, 'purposeOf'>;
  canSendMail: boolean;
}

const fail = defineErrors('auth', {
  password_required: {
    status: 400,
    message: 'This code is of a sign-up, which needs a password. The code is not used up.',
  },
  not_a_sign_up: {
    status: 400,
    message:
      'This code proves the address of an account there is: send neither password nor profile. The code is not used up.',
  },
});

const SIGNING_UP = ['sign_up.closed', 'sign_up.domain_not_allowed'];

export function verificationRoutes({ signUp, emailVerification, codes, canSendMail }: VerificationDeps) {
  const router = new Router<ApiRequestState>();
  const purposeOf = ({ tenantId }: Actor, token: string) =>
    codes.purposeOf(tenantId, token, ['sign_up', 'verify_email']);

  router.post(
    '/signup',
    endpoint({
      id: 'signUp',
      summary: 'Sign up',
      description:
        'Sends a code to the address; `verify-email` takes it and makes the account. Who has an account already is told so by the mail alone.',
      tag,
      permission: 'public',
      body: z.strictObject({ email: emailField, locale: localeField }),
      reply: sendReply,
      errors: [...SENDING, ...SIGNING_UP],
      example: { body: { email: 'ana@example.com' }, reply: EXAMPLE_SENT },
      async handle({ ctx, actor, body }) {
        requireMail(canSendMail);
        return { body: await startSignUp(ctx, actor, { ...body, request_token: newSecret() }) };
      },
    }),
  );

  router.post(
    '/resend-verification',
    endpoint({
      id: 'resendVerification',
      summary: 'Send a code to verify an address',
      description:
        'With the `request_token` of a request before, sends another code for the same purpose, and the one sent before ends. Without it, sends one to the address of an account that has not verified it yet; the answer is the same if there is none.',
      tag,
      permission: 'public',
      body: z.strictObject({
        email: emailField,
        request_token: requestToken.optional(),
        locale: localeField,
      }),
      reply: sendReply,
      errors: [...SENDING, ...SIGNING_UP],
      example: { body: { email: 'ana@example.com', request_token: EXAMPLE_TOKEN }, reply: EXAMPLE_SENT },
      async handle({ ctx, actor, body: { request_token: known, ...body } }) {
        requireMail(canSendMail);
        const isSignUp = known !== undefined && (await purposeOf(actor, known)) !== 'verify_email';
        const request = { ...body, request_token: known ?? newSecret() };
        return { body: await (isSignUp ? startSignUp : startVerification)(ctx, actor, request) };
      },
    }),
  );

  router.post(
    '/verify-email',
    endpoint({
      id: 'verifyEmail',
      summary: 'Prove an address, and make the account of a sign-up',
      description:
        'A sign-up needs a password; when that is refused, send the request again with another one within 15 minutes. For an account there is, send token and code alone: the address counts as verified then, and who was invited can sign in.',
      tag,
      permission: 'public',
      body: z.strictObject({
        request_token: requestToken,
        code: codeField,
        password: passwordField.optional(),
        profile: userSchema.shape.profile.optional(),
      }),
      reply: { status: 200, description: 'The user with the verified address.', schema: userSummarySchema },
      errors: [
        ...JUDGING,
        'auth.password_required',
        'auth.not_a_sign_up',
        'password.unacceptable',
        'password.busy',
        'sign_up.not_proved',
        'sign_up.existing',
      ],
      example: {
        body: {
          request_token: EXAMPLE_TOKEN,
          code: '482913',
          password: 'correct horse battery staple',
          profile: { name: 'Ana Lima', locale: 'en' },
        },
        reply: EXAMPLE_SUMMARY,
      },
      async handle({ actor, body: { request_token: binding, code, password, profile } }) {
        if ((await purposeOf(actor, binding)) === 'verify_email') {
          if (password !== undefined || profile !== undefined) throw fail('not_a_sign_up');
          const { user } = requireCode(await emailVerification.confirm(actor, { binding, code }));
          return { body: presentSummary(user) };
        }
        if (password === undefined) throw fail('password_required');
        requireCodeOrProof(await signUp.check(actor, { binding, code }));
        return {
          body: presentSummary(await signUp.complete(actor, binding, { password, claims: profile ?? {} })),
        };
      },
    }),
  );

  return router;

  interface CodeRequestBody {
    email: string;
    request_token: string;
    locale?: string | undefined;
  }

  async function startSignUp(ctx: ApiContext, actor: Actor, body: CodeRequestBody) {
    const { settings } = tenantProviderOf(ctx).tenant;
    const started = await signUp.start(actor, settings, requestOf(ctx, body));
    if (!started.ok && started.reason !== 'throttled') throw signUpError(started.reason);
    return sentBody(started, body.request_token);
  }

  async function startVerification(ctx: ApiContext, actor: Actor, body: CodeRequestBody) {
    return sentBody(await emailVerification.start(actor, requestOf(ctx, body)), body.request_token);
  }

  function requestOf(ctx: ApiContext, { email, request_token: binding, locale }: CodeRequestBody) {
    return { email: acceptableEmail(email), binding, locale: localeOf(ctx, locale) };
  }
}
