import { z } from 'zod';
import { SIGNING_ALGS } from '../keys/signing-key.ts';
import { defineErrors } from '../lib/errors.ts';
import type { FieldError } from '../lib/errors.ts';
import type { Resource } from './resource.ts';

export const fail = defineErrors('resource', {
  invalid: { status: 400, message: 'The resource cannot be registered like this.' },
  invalid_cursor: { status: 400, message: 'The list cannot be continued from here; start again.' },
  not_found: { status: 404, message: 'There is no resource with this identifier.' },
  identifier_taken: { status: 409, message: 'Another resource already has this identifier.' },
});

/** What a caller says about a resource; checked and completed here, before anything is stored. */
export interface NewResource extends ResourcePatch {
  identifier: string;
  /** Default: the identifier. */
  name?: string | undefined;
}

/** What is left out stays as it is. The identifier cannot change: tokens carry it as their audience. */
export interface ResourcePatch {
  name?: string | undefined;
  scopes?: readonly { name: string; description?: string | undefined }[] | undefined;
  accessTokenFormat?: string | undefined;
  accessTokenTtlSeconds?: number | null | undefined;
  signingAlg?: string | null | undefined;
  introspectionClientIds?: readonly string[] | undefined;
}

export type ResourceFields = Omit<Resource, 'id' | 'identifier' | 'createdAt' | 'updatedAt'>;

// They mean something of their own (OpenID Connect Core §5.4, §11); an API must not give them another meaning.
const OIDC_SCOPES = ['openid', 'profile', 'email', 'phone', 'address', 'offline_access'];
const FORBIDDEN_SCHEMES = ['javascript:', 'vbscript:', 'data:', 'blob:', 'file:', 'about:'];

const scope = z.strictObject({
  name: z
    .string()
    .max(128)
    .regex(
      /^[\x21\x23-\x5b\x5d-\x7e]+$/,
      'must be ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)',
    )
    .refine((name) => !OIDC_SCOPES.includes(name), 'is a scope of OpenID Connect; choose another name'),
  description: z.string().trim().max(300).default(''),
});

const fieldsSchema = z.strictObject({
  name: z.string().trim().min(1).max(512),
  scopes: z.array(scope).max(500),
  accessTokenFormat: z.enum(['jwt', 'opaque'], 'must be jwt or opaque'),
  accessTokenTtlSeconds: z.int().min(10).max(86_400).nullable(),
  signingAlg: z.enum(SIGNING_ALGS, 'must be RS256, ES256 or EdDSA').nullable(),
  introspectionClientIds: z.array(z.string().min(1).max(128)).max(100),
});

/**
 * @returns everything that is registered about a resource, complete
 * @throws {AppError} `resource.invalid` with every fault
 */
export function checkResourceFields(given: Required<ResourcePatch>): ResourceFields {
  const parsed = fieldsSchema.safeParse(given);
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => ({ path: pointer(path), message }));
    throw fail('invalid', { errors });
  }
  const errors: FieldError[] = [];
  const { scopes, accessTokenFormat, signingAlg, introspectionClientIds } = parsed.data;
  for (const [index, { name }] of scopes.entries()) {
    if (scopes.findIndex((other) => other.name === name) < index) {
      errors.push({ path: `/scopes/${index}/name`, message: `${name} is listed twice` });
    }
  }
  if (accessTokenFormat === 'opaque' && signingAlg !== null) {
    errors.push({ path: '/signing_alg', message: 'has no use for opaque tokens, which are not signed' });
  }
  if (errors.length > 0) throw fail('invalid', { errors });
  return { ...parsed.data, introspectionClientIds: [...new Set(introspectionClientIds)] };
}

/** RFC 8707 §2: an absolute URI without fragment. @throws {AppError} `resource.invalid` */
export function checkIdentifier(identifier: string): void {
  const message = identifierFault(identifier);
  if (message) throw fail('invalid', { errors: [{ path: '/identifier', message }] });
}

function identifierFault(identifier: string): string | undefined {
  if (identifier.length > 512) return 'must not be longer than 512 characters';
  if (!/^[\x21-\x7e]+$/.test(identifier) || /["<>\\^`{|}]/.test(identifier)) {
    return 'must be ASCII without spaces and other characters that a URI cannot have';
  }
  const url = URL.parse(identifier);
  if (!url) return 'must be an absolute URI, such as https://api.example.com or urn:example:api';
  if (identifier.includes('#')) return 'must not have a fragment (RFC 8707 §2)';
  if (FORBIDDEN_SCHEMES.includes(url.protocol)) return `must not use the ${url.protocol} scheme`;
  return url.username || url.password ? 'must not contain a user name' : undefined;
}

function pointer(path: readonly PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`)
    .join('');
}
