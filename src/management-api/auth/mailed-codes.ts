import { z } from 'zod';
import type { ApiContext } from '../../http/caller.ts';
import { defineErrors } from '../../lib/errors.ts';
import type { CodeRefusal } from '../../one-time-codes/one-time-code.ts';
import type { SendOutcome } from '../../one-time-codes/one-time-codes.ts';
import { tenantProviderOf } from '../../oidc/tenant-state.ts';

/**
 * What the endpoints have in common that send a code by mail and take it. What a request answers is bound to the
 * code: the code alone is worth nothing to whoever reads the mail, and neither answer nor time tells who exists.
 */
const fail = defineErrors('auth', {
  mail_unavailable: { status: 503, message: 'This server sends no mail, so it cannot send a code.' },
  too_many_mails: { status: 429, message: 'This address was sent several codes. Wait, then try again.' },
  code_wrong: { status: 400, message: 'This is not the code that was sent.' },
  code_expired: { status: 410, message: 'This code has expired or was tried too often. Ask for a new one.' },
});

const CODE_SECONDS = 600;

export const MAILED_TAG = 'Sign-up and recovery';
export const emailField = z.string().min(1).max(320);
export const localeField = z
  .enum(['en', 'de', 'fr', 'es', 'ar'])
  .optional()
  .meta({ description: 'Of the mail, unless its reader saved another in their profile.' });
export const requestToken = z.string().regex(/^[\w-]{43}$/, 'is not a token that this API gave out');
export const codeField = z.string().min(1).max(40);
export const passwordField = z.string().min(1).max(1024);

export const EXAMPLE_TOKEN = 'mSx0nVZ0mJm0Vb0q2m3l1eY2m8mC2Qk8b4Yy3bVx1aE';
export const SENDING = ['auth.mail_unavailable', 'auth.too_many_mails', 'user.email_invalid'];
export const JUDGING = ['auth.code_wrong', 'auth.code_expired'];
export const EXAMPLE_SENT = { request_token: EXAMPLE_TOKEN, expires_in: CODE_SECONDS };
export const sendReply = {
  status: 202,
  description: 'A code is on its way, if there is somebody to send it to.',
  schema: z.object({
    request_token: z.string().meta({ description: 'Goes with the code; nobody else can use it.' }),
    expires_in: z.number().int().meta({ description: 'Seconds the code is good for.' }),
  }),
} as const;

/** @throws {AppError} `auth.mail_unavailable`: without a mail server no code arrives */
export function requireMail(canSendMail: boolean): void {
  if (!canSendMail) throw fail('mail_unavailable');
}

/** @throws {AppError} `auth.too_many_mails` */
export function sentBody(sent: SendOutcome, token: string) {
  if (!sent.ok) throw fail('too_many_mails', { retryAfterSeconds: sent.retryAfterSeconds });
  return { request_token: token, expires_in: CODE_SECONDS };
}

type CodeCheck = { ok: true } | { ok: false; reason: CodeRefusal };

/** @throws {AppError} `auth.code_wrong`, `auth.code_expired` */
export function requireCode<Check extends CodeCheck>(check: Check): Extract<Check, { ok: true }> {
  if (!check.ok) throw fail(check.reason === 'wrong' ? 'code_wrong' : 'code_expired');
  return check as Extract<Check, { ok: true }>;
}

/**
 * Where a proof outlives the code: of one that was right before, what follows tells whether its proof still holds.
 * @throws {AppError} `auth.code_wrong`, `auth.code_expired`
 */
export function requireCodeOrProof(check: CodeCheck): void {
  if (check.ok || check.reason !== 'spent') requireCode(check);
}

/** What the request says, or the tenant: cookies and the like are a browser's affair. */
export function localeOf(ctx: ApiContext, asked: string | undefined): string {
  return asked ?? tenantProviderOf(ctx).tenant.settings.locale;
}
