import type { KoaContextWithOIDC } from 'oidc-provider';
import { allowFormAction } from '../../http/security-headers.ts';

/**
 * Pages of the engine whose form leads to the app: answers by `response_mode=form_post`, the change of
 * accounts on the way back from signing in, and signing out where nobody is signed in; their redirects may
 * end there at once. The policy of the page lets forms and what they redirect to reach the app's validated
 * address.
 */
export async function formTargetMiddleware(
  ctx: KoaContextWithOIDC,
  next: () => Promise<void>,
): Promise<void> {
  await next();
  if (ctx.status === 303 || !ctx.response.is('html')) return;
  const target = await formTarget(ctx);
  if (target !== undefined) allowFormAction(ctx, target);
}

async function formTarget({ oidc }: KoaContextWithOIDC): Promise<string | undefined> {
  const { route, client, params, entities } = oidc ?? {};

  if (route === 'end_session') {
    const uri = params?.['post_logout_redirect_uri'];
    return typeof uri === 'string' && client?.postLogoutRedirectUriAllowed(uri) === true ? uri : undefined;
  }

  if (route !== 'authorization' && route !== 'resume') return undefined;
  const { Interaction: interaction } = entities ?? {};
  const uri = (params ?? interaction?.params)?.['redirect_uri'];
  const app =
    client ?? (interaction && (await oidc.provider.Client.find(String(interaction.params['client_id']))));
  return typeof uri === 'string' && app?.redirectUriAllowed(uri) === true ? uri : undefined;
}
