import Router from '@koa/router';
import { errors, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import type { Context } from 'koa';
import type { Logger } from '../lib/logger.ts';
import type { IssuerKeys } from './demo-client.ts';
import { ALLOWED_ALGS } from './token-report.ts';

/**
 * An API that trusts the server's access tokens: it verifies them by itself with the published keys
 * (RFC 9068 §4) and never asks the server about a single one.
 */

export const SAMPLE_SCOPE = 'greetings:read';

interface SampleApiOptions {
  /** Its resource indicator, which tokens meant for it carry as audience. */
  resource: string;
  verification: () => Promise<IssuerKeys>;
  log: Logger;
}

type Refusal = { status: 400 | 401 | 403; error: string | undefined; description: string };

export function sampleApiRoutes({ resource, verification, log }: SampleApiOptions): Router {
  const router = new Router({ prefix: new URL(resource).pathname });

  router.get('/hello', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    const token = bearerToken(ctx);
    if (typeof token !== 'string') return refuse(ctx, token);

    let claims: JWTPayload;
    try {
      claims = await verify(token, await verification(), resource);
    } catch (err) {
      if (!isTokenFault(err)) return keysUnavailable(ctx, log, err);
      return refuse(ctx, { status: 401, error: 'invalid_token', description: describe(err) });
    }

    if (!scopesOf(claims).includes(SAMPLE_SCOPE)) {
      const description = `The access token does not carry the scope ${SAMPLE_SCOPE}.`;
      return refuse(ctx, { status: 403, error: 'insufficient_scope', description });
    }

    ctx.body = {
      message: 'Hello from the sample API.',
      you: claims.sub,
      calledBy: claims['client_id'],
      scopes: scopesOf(claims),
    };
  });

  return router;
}

/** Only the header is read: RFC 6750 §2.3 advises against tokens in URLs. */
function bearerToken(ctx: Context): string | Refusal {
  const header = ctx.get('authorization');
  if (!header) return { status: 401, error: undefined, description: 'An access token is needed.' };
  const [, token] = /^Bearer +([\w\-.~+/]+=*) *$/i.exec(header) ?? [];
  if (token) return token;
  return { status: 400, error: 'invalid_request', description: 'The Authorization header is malformed.' };
}

async function verify(token: string, { issuer, keys }: IssuerKeys, audience: string): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: 'at+jwt',
    algorithms: ALLOWED_ALGS,
    requiredClaims: ['exp', 'sub', 'client_id'],
    clockTolerance: 5,
  });
  // A token bound to a key is no bearer token: whoever shows it must prove the key (RFC 9449 §7.1).
  if (payload['cnf'] !== undefined) throw new errors.JWTInvalid('sender-constrained');
  return payload;
}

// What jose throws when the key set, not the token, is at fault.
const KEY_FAULTS = new Set(['ERR_JOSE_GENERIC', 'ERR_JWKS_INVALID', 'ERR_JWKS_TIMEOUT']);

/** A token that cannot be checked now is not an invalid token: saying so would make clients throw it away. */
function isTokenFault(err: unknown): boolean {
  return err instanceof errors.JOSEError && !KEY_FAULTS.has(err.code);
}

function describe(err: unknown): string {
  if (err instanceof errors.JWTExpired) return 'The access token has expired.';
  if (err instanceof errors.JWTClaimValidationFailed)
    return `The access token's ${err.claim} is not accepted.`;
  return 'The access token is not valid here.';
}

function keysUnavailable(ctx: Context, log: Logger, err: unknown): void {
  log.warn({ err }, 'demo: the sample API cannot get the signing keys');
  ctx.set('Retry-After', '5');
  ctx.status = 503;
  ctx.body = { error: 'temporarily_unavailable', error_description: 'The signing keys cannot be reached.' };
}

/** RFC 6750 §3: a request that brought no token learns the scheme, and nothing about an error. */
function refuse(ctx: Context, { status, error, description }: Refusal): void {
  const parameters = ['realm="Gatehouse demo"'];
  if (error) parameters.push(`error="${error}"`, `error_description="${description}"`);
  if (status === 403) parameters.push(`scope="${SAMPLE_SCOPE}"`);
  ctx.set('WWW-Authenticate', `Bearer ${parameters.join(', ')}`);
  ctx.status = status;
  ctx.body = { ...(error && { error }), error_description: description };
}

function scopesOf(claims: JWTPayload): string[] {
  const { scope } = claims;
  return typeof scope === 'string' ? scope.split(' ') : [];
}
