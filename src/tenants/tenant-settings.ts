import { z } from 'zod';

/**
 * What an operator decides for one tenant. Everything has a default, so a tenant stores only what differs;
 * a key that this version does not know is left alone, for the version that does.
 */
const domain = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, 'not a domain');

const shape = {
  signUp: z.enum(['open', 'domains', 'invitation', 'off']).default('open').meta({
    description: 'Who may sign up: everybody, addresses of `signUpDomains`, only who was invited, or nobody.',
  }),
  signUpDomains: z.array(domain).max(100).default([]).meta({
    description: 'Domains of the addresses that may sign up, with `signUp` = `domains`.',
  }),
  signUpFields: z
    .array(z.enum(['name', 'given_name', 'family_name', 'phone_number']))
    .max(4)
    .default(['name'])
    .meta({
      description: 'What people must tell when they sign up, besides their address and password.',
    }),
  profileFields: z
    .array(z.enum(['name', 'given_name', 'family_name', 'phone_number']))
    .max(4)
    .default([])
    .meta({
      description:
        'What people are asked for after a sign-in if their profile lacks it. They may skip it, and are asked again after 90 days.',
    }),
  magicLink: z.boolean().default(true).meta({
    description: 'Whether people may sign in with a code or link sent by mail instead of a password.',
  }),
  firstPartyClientId: z.string().min(1).max(255).optional().meta({
    description: 'Client in whose name `/api/v1/auth` issues tokens. Without one that API issues none.',
  }),
  apiTokenFormat: z.enum(['jwt', 'opaque']).default('jwt').meta({
    description: 'Access tokens for this server’s own API: self-contained, or looked up at every use.',
  }),
  sessionIdleSeconds: z.number().int().min(60).max(31_536_000).optional().meta({
    description: 'Default: `GATEHOUSE_SESSION_IDLE_SECONDS`.',
  }),
  sessionAbsoluteSeconds: z.number().int().min(60).max(157_680_000).optional().meta({
    description:
      'However often it is used, a session ends this long after the person last proved who they are. Default: 30 days.',
  }),
  locale: z.string().max(35).default('en').meta({
    description: 'Language of screens and mails where nobody asks for another one.',
  }),
  mailFrom: z.string().max(320).optional().meta({
    description: 'Sender of mails. Default: `GATEHOUSE_MAIL_FROM`.',
  }),
} as const;

export const tenantSettingsSchema = z.object(shape);
/** Of a change: an unknown key is refused, `null` returns to the default. */
export const tenantSettingsPatchSchema = z.strictObject(
  Object.fromEntries(Object.entries(shape).map(([name, field]) => [name, field.nullable().optional()])) as {
    [Name in keyof typeof shape]: z.ZodOptional<z.ZodNullable<(typeof shape)[Name]>>;
  },
);

export type TenantSettings = Readonly<z.output<typeof tenantSettingsSchema>>;
export type TenantSettingsPatch = z.input<typeof tenantSettingsPatchSchema>;

/** @throws {z.ZodError} when what is stored is not what this version stores */
export function parseTenantSettings(stored: unknown): TenantSettings {
  return tenantSettingsSchema.parse(stored);
}
