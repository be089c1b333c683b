import { errors } from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { ErrorPageKind, HttpPages } from '../http/pages.ts';
import { requestStateOf } from '../http/request-state.ts';
import { requestLanguageOf } from '../i18n/request-language.ts';
import type { RequestLanguage } from '../i18n/request-language.ts';
import type { Translator } from '../i18n/translations.ts';
import type { Clock } from '../lib/clock.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import { currentUnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import { ROUTES } from '../oidc/configuration/features.ts';
import type { EngineErrorOut, OidcScreens } from '../oidc/oidc-screens.ts';
import type { TenantContext } from '../oidc/provider-deps.ts';
import { userStore } from '../users/user-store.ts';
import { createKnownAccounts } from './known-accounts.ts';
import { loginStateStore } from './login-state.ts';
import type { InteractionPages } from './pages.ts';
import { initiateLoginUrl, restartsOf } from './restart.ts';
import { restartIn } from './restart-interaction.ts';

/** The screens as the protocol engine asks for them. */
export function createScreens(deps: {
  pages: InteractionPages;
  httpPages: HttpPages;
  now: Clock;
}): OidcScreens {
  const { pages, httpPages, now } = deps;

  return {
    async start({ db, tenant, sealer, mountPath }, ctx, interaction) {
      const state = {
        clientId: String(interaction.params['client_id']),
        authorizationPath: (interaction as { parJti?: string }).parJti
          ? undefined
          : authorizationPath(mountPath, interaction.params),
        restarts: restartsOf(ctx.query),
      };
      await guarded(async () => {
        const unit = currentUnitOfWork();
        const store = loginStateStore(db, tenant.id, sealer);
        if (unit?.isOptimistic) unit.deferred.write('login_state', store.inserted(interaction.uid, state));
        else
          await loginStateStore((await unit?.writer()) ?? db, tenant.id, sealer).save(interaction.uid, state);
      });
      return `${mountPath}/interaction/${interaction.uid}`;
    },

    async error(context, ctx, out, err) {
      if (err instanceof errors.SessionNotFound && ctx.oidc?.route === 'resume') {
        await restartIn(context, ctx, ctx.path.split('/').at(-1) ?? '', deps);
        return;
      }
      // Nothing is read here: the error may be that nothing can be.
      const { client } = ctx.oidc ?? {};
      const home = client?.clientUri;
      const language = languageOf(ctx);
      ctx.type = 'html';
      ctx.body = httpPages.errorPage(language, {
        kind: kindOf(ctx.status, err),
        title: null,
        message: null,
        action:
          typeof home === 'string'
            ? { text: backText(language.translator(), client?.clientName), href: home }
            : null,
        reference: requestStateOf(ctx).correlationId,
        at: now(),
        details: detailsOf(out, client?.clientId),
      });
    },

    async confirmLogout(context, ctx) {
      const { tenant } = context;
      const { session, client } = ctx.oidc;
      const accountId = session?.accountId;
      const person = await findPerson(context, accountId);
      ctx.type = 'html';
      ctx.body = pages.signOutPage(languageOf(ctx, person?.profile.claims.locale), {
        tenant,
        account: person ? { email: person.user.email } : null,
        app: client ? { name: client.clientName ?? client.clientId } : null,
        action: ctx.oidc.urlFor('end_session_confirm'),
        xsrf: logoutSecret(ctx),
        // An ID token of whom it signs out: there is nothing left to ask.
        autoSubmit: accountId !== undefined && ctx.oidc.entities.IdTokenHint?.payload['sub'] === accountId,
      });
    },

    async signedOut(context, ctx) {
      const { tenant, directory, issuer } = context;
      const { client, provider } = ctx.oidc;
      // Who only leaves the app, or thinks better of it, ends here as well.
      const staying = await findPerson(context, (await provider.Session.get(ctx)).accountId);
      const stays = staying?.user;
      // The last page of a sign-out is in the language of those before it.
      const [lastHere] = createKnownAccounts(context, { now }).read(ctx);
      const reader = staying ?? (await findPerson(context, lastHere?.id));
      const { metadata } = (client && (await directory.client(client.clientId))) ?? {};
      const [url, signInHref] = [metadata?.['client_uri'], metadata?.['initiate_login_uri']];
      ctx.type = 'html';
      ctx.body = pages.signedOutPage(languageOf(ctx, reader?.profile.claims.locale), {
        tenant,
        account: stays ? { email: stays.email } : null,
        app: client
          ? { name: client.clientName ?? client.clientId, url: typeof url === 'string' ? url : null }
          : null,
        signInHref: typeof signInHref === 'string' ? initiateLoginUrl(signInHref, issuer) : null,
        appsNotReached: [],
      });
    },
  };
}

/**
 * What the engine has parsed, of authorization and of sign-out requests.
 * @param saved of who is signed in
 */
function languageOf(ctx: KoaContextWithOIDC, saved?: string): RequestLanguage {
  const language = requestLanguageOf(ctx);
  language.learn({ account: saved });
  const uiLocales = ctx.oidc?.params?.['ui_locales'];
  if (typeof uiLocales === 'string') language.learn({ uiLocales });
  return language;
}

function backText({ t }: Translator, app: string | undefined): string {
  return app === undefined ? t('interactions.back_to_the_app') : t('interactions.back_to_app', { app });
}

async function findPerson({ db, tenant }: TenantContext, id: string | undefined) {
  if (id === undefined) return undefined;
  return userStore((await currentUnitOfWork()?.reader()) ?? db, tenant.id).findWithProfile(id);
}

/** The request as it can be made again: after validation, with what came by request object or default filled in. */
function authorizationPath(mountPath: string, params: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined) query.append(name, String(item));
    }
  }
  return `${mountPath}${ROUTES.authorization}?${query.toString()}`;
}

function kindOf(status: number, err: Error): ErrorPageKind {
  if (err instanceof errors.SessionNotFound) return 'expired';
  if (status === 503) return 'busy';
  return status >= 500 ? 'failed' : 'refused';
}

function detailsOf(out: EngineErrorOut, clientId: string | undefined) {
  return [
    { name: 'error', value: out.error },
    ...(out.error_description ? [{ name: 'error_description', value: out.error_description }] : []),
    ...(clientId ? [{ name: 'client_id', value: clientId }] : []),
  ];
}

function logoutSecret(ctx: KoaContextWithOIDC): string {
  const state = ctx.oidc.session?.state;
  return typeof state === 'object' && state !== null && 'secret' in state ? String(state.secret) : '';
}
