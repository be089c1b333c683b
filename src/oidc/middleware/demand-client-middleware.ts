import type { KoaContextWithOIDC } from 'oidc-provider';

const ROUTES = new Set(['token', 'introspection', 'revocation', 'pushed_authorization_request']);
const CREDENTIALS = ['client_id', 'client_secret', 'client_assertion'];

/**
 * Who sends no client credentials at all is told to (RFC 6749 §5.2: `invalid_client` is also for "no
 * client authentication included", RFC 7662 §2.3, RFC 9110 §15.5.2); the engine calls that a malformed
 * request.
 */
export async function demandClientMiddleware(
  ctx: KoaContextWithOIDC,
  next: () => Promise<void>,
): Promise<void> {
  await next();
  const { route, client, body, issuer } = ctx.oidc ?? {};
  if (!route || !ROUTES.has(route) || client || ctx.status !== 400) return;
  // Undefined when the body itself was refused.
  if (!body || ctx.headers.authorization !== undefined) return;
  if (CREDENTIALS.some((name) => name in body)) return;

  ctx.status = 401;
  ctx.set('WWW-Authenticate', `Basic realm="${issuer}"`);
  ctx.body = { error: 'invalid_client', error_description: 'client authentication is required' };
}
