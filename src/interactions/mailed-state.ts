import { z } from 'zod';

/** Where a sign-in stands that goes by way of a mail: recovery, sign-up, a code instead of the password. */
export const mailedStateSchema = z.object({
  purpose: z.enum(['password_reset', 'sign_in', 'sign_up']),
  email: z.string(),
  /** Milliseconds since 1970. */
  sentAt: z.number(),
  /** The code was right, so what it is for may follow. */
  isProved: z.boolean(),
  /** Of the profile, when something else of the form was not good enough. */
  claims: z.record(z.string(), z.string()).optional(),
});

export type MailedState = z.output<typeof mailedStateSchema>;

/** Why an answer on one of these screens was not good enough. */
export const mailedErrorSchema = z.discriminatedUnion('reason', [
  z.object({ reason: z.literal('email_missing') }),
  z.object({ reason: z.literal('email_malformed') }),
  z.object({ reason: z.literal('domain_not_allowed') }),
  z.object({ reason: z.literal('code_missing') }),
  z.object({ reason: z.literal('code_wrong') }),
  z.object({ reason: z.literal('code_expired') }),
  z.object({ reason: z.literal('code_spent') }),
  z.object({ reason: z.literal('link_expired') }),
  z.object({ reason: z.literal('busy') }),
  /** Of mails to one address. */
  z.object({ reason: z.literal('mails_throttled'), retryAfterSeconds: z.number() }),
  z.object({ reason: z.literal('tries_throttled'), retryAfterSeconds: z.number() }),
  z.object({
    reason: z.literal('fields'),
    faults: z.array(
      z.object({
        path: z.string(),
        message: z.string(),
        code: z.string().optional(),
        values: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
      }),
    ),
  }),
]);

export type MailedError = z.output<typeof mailedErrorSchema>;

/** The screens of these ways, and in which of them a code must have been proved. */
export const MAILED_SCREENS = [
  'forgot',
  'email_code',
  'sign_up',
  'code',
  'new_password',
  'sign_up_profile',
] as const;

export type MailedScreen = (typeof MAILED_SCREENS)[number];

export function isMailedScreen(screen: string): screen is MailedScreen {
  return MAILED_SCREENS.some((one) => one === screen);
}

/** How long until another mail can be asked for from the same page. */
export const RESEND_SECONDS = 30;
