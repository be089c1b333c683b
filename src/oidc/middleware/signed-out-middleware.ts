import type { KoaContextWithOIDC } from 'oidc-provider';

/**
 * The page after signing out is to lead back to the app that asked for it. The engine tells that page the
 * app only where the person stayed signed in.
 */
export async function signedOutMiddleware(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  await next();
  const { route, client } = ctx.oidc ?? {};
  if (route !== 'end_session_confirm' || !client || ctx.status !== 303) return;

  const location = URL.parse(ctx.response.get('Location'));
  if (location?.href !== ctx.oidc.urlFor('end_session_success')) return;
  location.searchParams.set('client_id', client.clientId);
  ctx.redirect(location.href);
  ctx.status = 303;
}
