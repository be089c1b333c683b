import type { Csrf } from '../http/csrf.ts';
import { allowFormAction } from '../http/security-headers.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import type { PasswordRules } from '../users/password-policy.ts';
import { confirmReason } from './confirm-reason.ts';
import { isConfirmation, pathOf, startingEmail } from './dispatch.ts';
import type { InteractionContext } from './interaction-context.ts';
import type { MailedPages } from './mailed-pages.ts';
import { RESEND_SECONDS } from './mailed-state.ts';
import type { MailedScreen } from './mailed-state.ts';

export interface MailedRender {
  pages: MailedPages;
  csrf: Csrf;
  now: Clock;
  passwordRules: PasswordRules;
}

/** Fills a screen of recovery or sign-up from where it stands. */
export function renderMailed(
  ctx: TenantRequestContext,
  screen: MailedScreen,
  context: InteractionContext,
  { pages, csrf, now, passwordRules }: MailedRender,
): void {
  const { interaction, basePath, app, state, situation, tenantProvider } = context;
  allowFormAction(ctx, String(interaction.params['redirect_uri']));
  ctx.type = 'html';

  const path = (of: MailedScreen) => pathOf(of, basePath);
  const form = (action: string) => ({ action, csrf: csrf.token(interaction.uid) });
  const { language } = ctx.state;
  const common = {
    app,
    tenant: { name: tenantProvider.tenant.name },
    error: state.mailedError ?? null,
    cancelHref: `${basePath}/cancel`,
  };
  const email = state.mailed?.email ?? '';

  switch (screen) {
    case 'forgot':
    case 'email_code':
    case 'sign_up': {
      const address = startingEmail(state, situation) ?? '';
      ctx.body = pages.sendPage(language, {
        ...common,
        kind: screen,
        isConfirmation: screen === 'email_code' && isConfirmation(address, situation),
        reason: confirmReason(context),
        form: form(path(screen)),
        email: state.typed ?? (address || (situation.loginHint ?? '')),
        changeHref: pathOf('identifier', basePath),
        signInHref: pathOf('identifier', basePath),
      });
      return;
    }
    case 'code': {
      const { purpose = 'sign_in', sentAt = 0 } = state.mailed ?? {};
      const changes = {
        password_reset: path('forgot'),
        sign_up: path('sign_up'),
        sign_in: pathOf('identifier', basePath),
      };
      ctx.body = pages.codePage(language, {
        ...common,
        purpose,
        form: form(path('code')),
        resendForm: form(`${path('code')}/resend`),
        email,
        resendSeconds: Math.ceil(RESEND_SECONDS - (now().getTime() - sentAt) / 1000),
        changeHref: changes[purpose],
      });
      return;
    }
    case 'new_password':
    case 'sign_up_profile':
      ctx.body = pages.choosePage(language, {
        ...common,
        kind: screen,
        form: form(path(screen)),
        email,
        fields:
          screen === 'new_password'
            ? []
            : tenantProvider.tenant.settings.signUpFields.map((name) => ({
                name,
                value: state.mailed?.claims?.[name] ?? '',
              })),
        password: passwordRules,
      });
  }
}
