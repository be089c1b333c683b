import { allowFormAction } from '../http/security-headers.ts';
import type { Csrf } from '../http/csrf.ts';
import { PORTAL_PATH } from '../oidc/extensions/portal-client.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { confirmReason } from './confirm-reason.ts';
import { consentRequest } from './consent-step.ts';
import type { ConsentRequest } from './consent-step.ts';
import { isConfirmation, pathOf, startingEmail } from './dispatch.ts';
import type { Screen } from './dispatch.ts';
import type { InteractionContext } from './interaction-context.ts';
import type { LoginError } from './login-state.ts';
import type { MailedScreen } from './mailed-state.ts';
import type { IdentifierLocals, InteractionPages, PasswordError } from './pages.ts';

/** Fills a screen from where the sign-in stands. */
export async function renderScreen(
  ctx: TenantRequestContext,
  screen: Exclude<Screen, MailedScreen | 'own_password' | 'profile'>,
  context: InteractionContext,
  { pages, csrf, mailed }: { pages: InteractionPages; csrf: Csrf; mailed?: object | undefined },
): Promise<void> {
  const { interaction, basePath, app, state, situation, tenantProvider } = context;
  const redirectUri = String(interaction.params['redirect_uri']);
  allowFormAction(ctx, redirectUri);
  ctx.type = 'html';

  const form = (step: string) => ({ action: `${basePath}/${step}`, csrf: csrf.token(interaction.uid) });
  const purpose = { app, tenant: { name: tenantProvider.tenant.name } };
  const cancelHref = `${basePath}/cancel`;
  const otherHref = pathOf(situation.knowsAccounts ? 'accounts' : 'identifier', basePath);

  switch (screen) {
    case 'identifier':
      ctx.body = pages.identifierPage(ctx.state.language, {
        ...purpose,
        form: form('identifier'),
        email: state.typed ?? state.email ?? situation.loginHint ?? '',
        error: identifierError(state.error),
        cancelHref,
        chooserHref: situation.knowsAccounts ? pathOf('accounts', basePath) : null,
        signUpHref: situation.offersSignUp ? pathOf('sign_up', basePath) : null,
      });
      return;
    case 'password': {
      const email = startingEmail(state, situation) ?? '';
      ctx.body = pages.passwordPage(ctx.state.language, {
        ...purpose,
        form: form('password'),
        email,
        isConfirmation: isConfirmation(email, situation),
        reason: confirmReason(context),
        error: passwordError(state.error),
        changeHref: pathOf('identifier', basePath),
        otherHref,
        cancelHref,
        resetHref: mailed ? pathOf('forgot', basePath) : null,
        codeHref: mailed && tenantProvider.tenant.settings.magicLink ? pathOf('email_code', basePath) : null,
      });
      return;
    }
    case 'accounts':
      ctx.body = pages.accountsPage(ctx.state.language, {
        ...purpose,
        form: form('accounts'),
        removeForm: form('accounts/remove'),
        accounts: context.known.map(({ user, lastUsedAt }) => ({
          id: user.id,
          email: user.email,
          lastUsedAt,
          signedIn: user.id === context.sessionUser?.id,
        })),
        otherHref: pathOf('identifier', basePath),
        cancelHref,
      });
      return;
    case 'consent':
      ctx.body = await consentBody(await consentRequest(context));
  }

  async function consentBody({ groups }: ConsentRequest): Promise<string> {
    const client = await tenantProvider.context.directory.client(app.id);
    return pages.consentPage(ctx.state.language, {
      app: {
        name: app.name,
        logoUrl: null,
        publisherHost: hostOf(String(client?.metadata['client_uri'] ?? '')),
      },
      tenant: purpose.tenant,
      account: { email: context.sessionUser?.email ?? '' },
      switchHref: otherHref,
      form: form('consent'),
      groups,
      returnHost: hostOf(redirectUri) ?? new URL(redirectUri).protocol,
      manageHref: `${tenantProvider.context.mountPath}${PORTAL_PATH}/apps`,
    });
  }
}

function identifierError(error: LoginError | undefined): IdentifierLocals['error'] {
  if (error?.reason === 'email_missing') return 'missing';
  return error?.reason === 'email_malformed' ? 'malformed' : null;
}

function passwordError(error: LoginError | undefined): PasswordError | null {
  switch (error?.reason) {
    case 'password_missing':
      return { reason: 'missing' };
    case 'mismatch':
    case 'busy':
      return { reason: error.reason };
    case 'throttled':
      return error;
    case 'email_missing':
    case 'email_malformed':
    case undefined:
      return null;
  }
}

function hostOf(url: string): string | null {
  return URL.parse(url)?.host || null;
}
