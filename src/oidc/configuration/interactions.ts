import { errors, interactionPolicy } from 'oidc-provider';
import type { Configuration, Interaction, KoaContextWithOIDC } from 'oidc-provider';
import { GrantEnded } from '../adapter/store-errors.ts';
import { currentUnitOfWork, LocksNeeded } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';
import { profilePrompt } from './profile-prompt.ts';

const { Check, Prompt, base } = interactionPolicy;

/** When a person is needed, and where they are sent. */
export function interactionsConfiguration(context: TenantContext) {
  const { screens, settings, tenant, locales } = context;
  const policy = base();
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0);
  // Initiating User Registration via OpenID Connect 1.0 §4.
  policy.add(new Prompt({ name: 'create', requestable: true }), 0);
  // After the sign-in and before the consent.
  policy.add(profilePrompt(context), 3);
  const login = policy.get('login');
  // It was checked when the sign-in began, which may be an hour ago.
  login?.checks.add(
    new Check('redirect_uri_gone', 'the app no longer returns there', ({ oidc }) => {
      const { client, params } = oidc;
      if (!client?.redirectUriAllowed(String(params?.['redirect_uri'])))
        throw new errors.InvalidRedirectUri();
      return Check.NO_NEED_TO_PROMPT;
    }),
  );
  // The engine goes on with a session whose account it could not load, and fails later with a 500.
  login?.checks.add(
    new Check('account_gone', 'the account of the session is gone or not active', 'login_required', (ctx) => {
      const { session, account } = ctx.oidc;
      return session?.accountId !== undefined && account === undefined;
    }),
  );

  const offersSignUp = settings.mail !== undefined && tenant.settings.signUp !== 'off';
  return {
    discovery: {
      ui_locales_supported: [...locales],
      prompt_values_supported: [
        'none',
        'login',
        'consent',
        'select_account',
        ...(offersSignUp ? ['create'] : []),
      ],
    },
    interactions: {
      policy,
      url: (ctx: KoaContextWithOIDC, interaction: Interaction) => screens.start(context, ctx, interaction),
    },
    renderError: async (ctx, out, err) => {
      // Nobody will see an answer: the request is done once more.
      if (err instanceof LocksNeeded) return;
      const unit = currentUnitOfWork();
      if (unit?.takesRequests) {
        unit.needsLocks = true;
        return;
      }
      if (err instanceof GrantEnded) repeat(ctx);
      else await screens.error(context, ctx, out, err);
    },
  } satisfies Configuration;

  function repeat(ctx: KoaContextWithOIDC): void {
    const unit = currentUnitOfWork();
    if (unit) unit.isRepeated = true;
    ctx.status = 303;
    ctx.redirect(`${context.mountPath}${ctx.originalUrl}`);
  }
}
