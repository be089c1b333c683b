import type { KoaContextWithOIDC } from 'oidc-provider';
import { allowFormAction } from '../../http/security-headers.ts';

/**
 * Pages of the engine whose form leads to the app: answers by `response_mode=form_post`, and the change of
 * accounts on the way back from signing in, whose redirects may end there at once. The policy of the page
 * lets forms and what they redirect to reach the app's validated address.
 */
export async function formTargetMiddleware(
  ctx: KoaContextWithOIDC,
  next: () => Promise<void>,
): Promise<void> {
  await next();
  const { route, client, params, entities } = ctx.oidc ?? {};
  if ((route !== 'authorization' && route !== 'resume') || !ctx.response.is('html')) return;

  const { Interaction: interaction } = entities ?? {};
  const redirectUri = (params ?? interaction?.params)?.['redirect_uri'];
  const app =
    client ?? (interaction && (await ctx.oidc.provider.Client.find(String(interaction.params['client_id']))));
  if (typeof redirectUri === 'string' && app?.redirectUriAllowed(redirectUri) === true)
    allowFormAction(ctx, redirectUri);
}
