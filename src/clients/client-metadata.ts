import { z } from 'zod';
import { SIGNING_ALGS } from '../keys/signing-key.ts';
import type { FieldError } from '../lib/errors.ts';
import { jwksSchema } from './client-jwks.ts';
import { redirectUriFault, webUriFault } from './client-uris.ts';

/**
 * The client metadata Gatehouse knows (RFC 7591 §2, OpenID Connect Dynamic Client Registration §2,
 * Back-Channel Logout §2.2, RFC 9126 §6, RFC 9449 §5.2), with rules stricter than theirs: no implicit
 * flow, no shared-secret signatures, nothing unsigned.
 */
export type ClientMetadata = z.output<typeof metadataSchema>;

export type MetadataField = keyof ClientMetadata;

const uri = z.string().min(1).max(2048);
const uris = z
  .array(uri)
  .max(100)
  .refine((list) => new Set(list).size === list.length, 'must not name the same URI twice');
// RFC 6749 §3.3
const scopeList = z
  .string()
  .max(4096)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, {
    error: 'must be scope names separated by single spaces',
  });
const ASSERTION_ALGS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** In the order of the reference; the descriptions are its text. */
export const metadataSchema = z.strictObject({
  application_type: z.enum(['web', 'native']).meta({
    description: '`web` (default) or `native`: an app on the device, without a secret.',
  }),
  redirect_uris: uris.meta({ description: 'Where answers may go, compared exactly.' }),
  post_logout_redirect_uris: uris.optional().meta({ description: 'Where people may go after signing out.' }),
  grant_types: z
    .array(
      z.enum(['authorization_code', 'refresh_token', 'client_credentials'], {
        error: 'must be authorization_code, refresh_token or client_credentials',
      }),
    )
    .min(1)
    .max(3)
    .meta({ description: '`authorization_code` (default), `refresh_token`, `client_credentials`.' }),
  response_types: z
    .array(z.literal('code', { error: 'must be "code"; the implicit and hybrid flows are not supported' }))
    .max(1)
    .meta({ description: 'Follows from the grant types: `code` or nothing.' }),
  token_endpoint_auth_method: z
    .enum(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'])
    .meta({
      description:
        'How the client proves itself: `client_secret_basic` (default for web), `none` (default for native), `client_secret_post` or `private_key_jwt`.',
    }),
  token_endpoint_auth_signing_alg: z
    .enum(ASSERTION_ALGS)
    .optional()
    .meta({ description: 'The only algorithm its assertions may use; with `private_key_jwt`.' }),
  jwks: jwksSchema.optional().meta({ description: "The client's public keys." }),
  jwks_uri: uri.optional().meta({ description: "Where the client's public keys are published." }),
  scope: scopeList
    .optional()
    .meta({ description: 'The scopes it may ask for, space-separated. Default: all of them.' }),
  id_token_signed_response_alg: z
    .enum(SIGNING_ALGS, { error: 'must be RS256, ES256 or EdDSA' })
    .optional()
    .meta({ description: 'How its ID tokens are signed. Default: `RS256`.' }),
  default_max_age: z
    .int()
    .min(0)
    .max(31_536_000)
    .optional()
    .meta({ description: 'Seconds after which people have to sign in again.' }),
  require_auth_time: z.boolean().optional().meta({ description: 'Put `auth_time` into every ID token.' }),
  require_pushed_authorization_requests: z
    .boolean()
    .optional()
    .meta({ description: 'Accept only pushed authorization requests (RFC 9126).' }),
  dpop_bound_access_tokens: z
    .boolean()
    .optional()
    .meta({ description: 'Issue only tokens bound to a key of the client (RFC 9449).' }),
  backchannel_logout_uri: uri.optional().meta({ description: 'Is told when a session ends.' }),
  backchannel_logout_session_required: z
    .boolean()
    .optional()
    .meta({ description: 'Put `sid` into its logout tokens.' }),
  initiate_login_uri: uri.optional().meta({ description: 'Starts a sign-in at the client.' }),
  client_uri: uri.optional().meta({ description: 'Its home page.' }),
  logo_uri: uri.optional().meta({ description: 'Its logo, on the consent screen.' }),
  policy_uri: uri.optional().meta({ description: 'Its privacy policy.' }),
  tos_uri: uri.optional().meta({ description: 'Its terms of service.' }),
  contacts: z.array(z.email().max(254)).max(20).optional().meta({ description: 'Addresses of its owners.' }),
});

const WEB_URIS = [
  'jwks_uri',
  'backchannel_logout_uri',
  'initiate_login_uri',
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
] as const satisfies MetadataField[];

/**
 * Fills in the defaults and checks everything.
 * @param given what the caller registers, names as in RFC 7591
 * @returns the metadata as it is stored, or every fault with a JSON pointer into `given`
 */
export function parseClientMetadata(
  given: Readonly<Record<string, unknown>>,
  { allowLocalHttp }: { allowLocalHttp: boolean },
): { metadata: ClientMetadata; errors?: undefined } | { metadata?: undefined; errors: FieldError[] } {
  const parsed = metadataSchema.safeParse(withDefaults(withoutNulls(given)));
  if (!parsed.success) return { errors: parsed.error.issues.flatMap(fieldErrorsOf) };
  const errors = [...uriFaults(parsed.data, allowLocalHttp), ...crossFieldFaults(parsed.data)];
  return errors.length > 0 ? { errors } : { metadata: parsed.data };
}

/** RFC 7591 §2: null counts as left out. Not for names that are unknown: a misspelt one must not pass for done. */
function withoutNulls(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(given).filter(
      ([field, value]) =>
        !((value === null || value === undefined) && Object.hasOwn(metadataSchema.shape, field)),
    ),
  );
}

function withDefaults(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const grantTypes = given['grant_types'] ?? ['authorization_code'];
  const usesCode = Array.isArray(grantTypes) && grantTypes.includes('authorization_code');
  return {
    application_type: 'web',
    redirect_uris: [],
    grant_types: grantTypes,
    response_types: usesCode ? ['code'] : [],
    // A secret in an app that everybody can take apart is none (RFC 8252 §8.5).
    token_endpoint_auth_method: given['application_type'] === 'native' ? 'none' : 'client_secret_basic',
    ...given,
  };
}

function uriFaults(metadata: ClientMetadata, allowLocalHttp: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const rules = { applicationType: metadata.application_type, allowLocalHttp };
  for (const field of ['redirect_uris', 'post_logout_redirect_uris'] as const) {
    for (const [index, value] of (metadata[field] ?? []).entries()) {
      const message = redirectUriFault(value, rules);
      if (message) errors.push({ path: `/${field}/${index}`, message });
    }
  }
  for (const field of WEB_URIS) {
    const value = metadata[field];
    const message = value === undefined ? undefined : webUriFault(value, rules);
    if (message) errors.push({ path: `/${field}`, message });
  }
  return errors;
}

function crossFieldFaults(metadata: ClientMetadata): FieldError[] {
  const errors: FieldError[] = [];
  const fault = (field: MetadataField, message: string) => errors.push({ path: `/${field}`, message });
  const usesCode = metadata.grant_types.includes('authorization_code');
  const method = metadata.token_endpoint_auth_method;

  if (usesCode && metadata.redirect_uris.length === 0) {
    fault('redirect_uris', 'must name at least one URI for the authorization_code grant');
  }
  if (!usesCode && metadata.redirect_uris.length > 0) {
    fault('redirect_uris', 'has no use without the authorization_code grant');
  }
  if (usesCode !== metadata.response_types.includes('code')) {
    fault('response_types', 'must be ["code"] with the authorization_code grant, and empty without it');
  }
  if (metadata.grant_types.includes('refresh_token') && !usesCode) {
    fault('grant_types', 'refresh_token needs authorization_code beside it');
  }
  if (metadata.grant_types.includes('client_credentials') && method === 'none') {
    fault(
      'token_endpoint_auth_method',
      'must not be none: client_credentials needs a client that proves itself',
    );
  }
  if (metadata.jwks && metadata.jwks_uri) fault('jwks_uri', 'must not be given together with jwks');
  if (method === 'private_key_jwt' && !metadata.jwks && !metadata.jwks_uri) {
    fault('jwks', 'jwks or jwks_uri is required for private_key_jwt');
  }
  if (method !== 'private_key_jwt' && metadata.token_endpoint_auth_signing_alg) {
    fault('token_endpoint_auth_signing_alg', 'has no use without private_key_jwt');
  }
  if (metadata.backchannel_logout_session_required && !metadata.backchannel_logout_uri) {
    fault('backchannel_logout_session_required', 'has no use without backchannel_logout_uri');
  }
  return errors;
}

const INSTEAD: Readonly<Record<string, string>> = {
  client_id: 'the client id is chosen once, when the client is created',
  client_name: 'the name is given beside the metadata',
  client_secret: 'Gatehouse makes the secrets itself',
  client_secret_expires_at: 'Gatehouse makes the secrets itself',
};

function fieldErrorsOf(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: pointer([...issue.path, key]),
      message: unknownKeyMessage(key),
    }));
  }
  return [{ path: pointer(issue.path), message: issue.message }];
}

function unknownKeyMessage(key: string): string {
  const instead = Object.hasOwn(INSTEAD, key) ? INSTEAD[key] : undefined;
  if (instead) return `cannot be set here: ${instead}`;
  const likely = Object.keys(metadataSchema.shape).find((known) => plainName(known) === plainName(key));
  return likely
    ? `is not client metadata; did you mean ${likely}?`
    : `is not client metadata that Gatehouse knows; it knows ${Object.keys(metadataSchema.shape).join(', ')}`;
}

/** Alike for redirect_uris, redirectUris, redirect_uri and redirect-uri. */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z]/g, '')
    .replace(/s$/, '');
}

/** RFC 6901. */
function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
