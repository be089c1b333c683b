import { errors } from 'oidc-provider';
import { sha256 } from '../../lib/ids.ts';

/** A row of `oidc_models` as the engine's models see it. */
export interface StoredModel {
  id_hash: Buffer;
  payload: ModelPayload;
  consumed_at: Date | null;
  dead_at: Date | null;
  /** Of the row as it was read; every change of it makes another one. */
  version?: string;
}

/** What a model of the engine saves; only the members the store itself looks at are named. */
export interface ModelPayload {
  [member: string]: unknown;
  jti?: string;
  exp?: number;
  iat?: number;
  /** Of a refresh token: when the first one of its chain was issued. */
  iiat?: number;
  grantId?: string;
  sessionUid?: string;
  uid?: string;
  accountId?: string;
  clientId?: string;
  expiresWithSession?: boolean;
  /** Ours, of a session: it was signed in to over the API, and refreshes extend it. */
  isWithoutBrowser?: boolean;
}

/**
 * Opaque token ids begin with their kind, so that a token of unknown kind costs one look-up instead of
 * three and secret scanners recognize a leaked one.
 */
export const ID_PREFIX: Readonly<Record<string, string>> = {
  AccessToken: 'at_',
  ClientCredentials: 'ct_',
  RefreshToken: 'rt_',
  AuthorizationCode: 'ac_',
};

export function hasForeignPrefix(model: string, id: string): boolean {
  const prefix = ID_PREFIX[model];
  return prefix !== undefined && !id.startsWith(prefix);
}

/**
 * The id goes into the row as its hash only.
 * @throws InvalidRequest for a NUL character, which PostgreSQL cannot store: whoever sent it is at fault, not the store
 */
export function toStored(payload: ModelPayload): string {
  const { jti: _jti, consumed: _consumed, ...rest } = payload;
  const stored = JSON.stringify(rest);
  if (stored.includes('\\u0000'))
    throw new errors.InvalidRequest('parameters must not contain NUL characters');
  return stored;
}

/** A copy down to its members, since the engine's models change what they get and the row may be kept. */
export function fromStored(id: string, stored: StoredModel): ModelPayload {
  const payload: ModelPayload = { ...copyOf(stored.payload), jti: id };
  if (stored.consumed_at) payload['consumed'] = true;
  return payload;
}

/** Of what JSON can hold; several times as fast as `structuredClone`, which is prepared for more. */
function copyOf<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf) as Value;
  const copy: Record<string, unknown> = { ...(value as Record<string, unknown>) };
  for (const name of Object.keys(copy)) {
    const member = copy[name];
    if (typeof member === 'object') copy[name] = copyOf(member);
  }
  return copy as Value;
}

export function hashId(id: string): Buffer {
  return sha256(id);
}
