import { decodeProtectedHeader } from 'jose';
import { tooManyRequests } from '../../http/rate-limit.ts';
import type { RequestState } from '../../http/request-state.ts';
import { defineErrors } from '../../lib/errors.ts';
import type { TenantProvider } from '../provider-registry.ts';
import type { FirstPartyCode } from './first-party-grant.ts';
import { callTokenEndpoint } from './in-process.ts';
import type { EngineAnswer } from './in-process.ts';

/** Tokens as the API hands them out: those of the token endpoint, and what clients want to know of them. */
export interface FirstPartyTokens {
  access_token: string;
  token_type: string;
  expires_in: number;
  refresh_token?: string;
  refresh_expires_in?: number;
  id_token?: string;
  scope: string;
  /** Seconds since 1970. */
  issued_at: number;
  /** Of the key that signed the access token; null for an opaque one. */
  kid: string | null;
}

const fail = defineErrors('auth', {
  invalid_grant: {
    status: 401,
    message: 'This refresh token is not valid, was used already, or its session has ended. Sign in again.',
  },
  invalid_scope: { status: 400, message: 'A refresh cannot widen the scope.' },
  tokens_unavailable: { status: 503, message: 'Tokens cannot be issued right now. Try again in a moment.' },
});

export async function redeemCode(
  tenantProvider: TenantProvider,
  state: RequestState,
  { form }: FirstPartyCode,
): Promise<FirstPartyTokens> {
  return tokensOf(await callTokenEndpoint(tenantProvider, state, form));
}

/**
 * Rotation, reuse detection and the grace for lost answers are those of the token endpoint, which this is.
 * @throws {AppError} `auth.invalid_grant`, `auth.invalid_scope`, `http.too_many_requests`
 */
export async function refreshTokens(
  tenantProvider: TenantProvider,
  state: RequestState,
  { clientId, refreshToken, scope }: { clientId: string; refreshToken: string; scope: string | undefined },
): Promise<FirstPartyTokens> {
  const answer = await callTokenEndpoint(tenantProvider, state, {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: refreshToken,
    ...(scope === undefined ? {} : { scope }),
  });
  return tokensOf(answer);
}

function tokensOf(answer: EngineAnswer): FirstPartyTokens {
  const { status, body, entities } = answer;
  if (status !== 200) throw refusalOf(answer);
  const { RefreshToken: refreshToken } = entities;
  const accessToken = String(body['access_token']);
  return {
    access_token: accessToken,
    token_type: String(body['token_type']),
    expires_in: Number(body['expires_in']),
    ...(typeof body['refresh_token'] === 'string' && { refresh_token: body['refresh_token'] }),
    ...(refreshToken && { refresh_expires_in: refreshToken.remainingTTL }),
    ...(typeof body['id_token'] === 'string' && { id_token: body['id_token'] }),
    scope: typeof body['scope'] === 'string' ? body['scope'] : '',
    issued_at: Math.floor(Date.now() / 1000),
    kid: accessToken.includes('.') ? (decodeProtectedHeader(accessToken).kid ?? null) : null,
  };
}

function refusalOf({ status, body, retryAfterSeconds }: EngineAnswer) {
  // Not the token's fault, and whoever heard so would throw it away.
  if (status === 429) return tooManyRequests(retryAfterSeconds);
  if (status >= 500) return fail('tokens_unavailable', { retryAfterSeconds: 1, cause: body['error'] });
  return fail(body['error'] === 'invalid_scope' ? 'invalid_scope' : 'invalid_grant');
}
