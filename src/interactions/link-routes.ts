import Router from '@koa/router';
import { z } from 'zod';
import type { Db } from '../db/database.ts';
import { parseForm } from '../http/body.ts';
import type { Csrf } from '../http/csrf.ts';
import { anonymousActor } from '../http/request-state.ts';
import { AppError } from '../lib/errors.ts';
import { sha256 } from '../lib/ids.ts';
import type { TenantRequestContext, TenantState } from '../oidc/tenant-state.ts';
import type { CodePurpose, ProvedCode } from '../one-time-codes/one-time-code.ts';
import type { OneTimeCodes } from '../one-time-codes/one-time-codes.ts';
import type { AccountLock } from '../recovery/account-lock.ts';
import type { EmailChange } from '../recovery/email-change.ts';
import type { EmailVerification } from '../recovery/email-verification.ts';
import type { PasswordReset } from '../recovery/password-reset.ts';
import type { Invitations } from '../sign-up/invitation.ts';
import type { PasswordRules } from '../users/password-policy.ts';
import { savedLocales } from '../users/saved-locale.ts';
import type { LinkEndLocals, LinkPages, OpenLinkLocals } from './link-pages.ts';
import { initiateLoginUrl } from './restart.ts';
import { seeOther } from '../http/see-other.ts';

/**
 * `/link`: what a mail's link opens in a browser that did not ask for the mail, or where nobody asked, such as
 * for an invitation. Opening it shows a page; its button acts.
 */
export interface LinkRoutesDeps {
  db: Db;
  csrf: Csrf;
  pages: LinkPages;
  codes: OneTimeCodes;
  passwordReset: PasswordReset;
  invitations: Invitations;
  emailChange: EmailChange;
  emailVerification: EmailVerification;
  accountLock: Pick<AccountLock, 'unlockByLink'>;
  passwordRules: PasswordRules;
}

const form = z.object({
  csrf: z.string().default(''),
  token: z.string().max(200).default(''),
  password: z.string().default(''),
});

type Kind = OpenLinkLocals['kind'];

const KINDS = new Set<CodePurpose>([
  'password_reset',
  'invitation',
  'email_change_undo',
  'verify_email',
  'unlock',
]);

export function linkRoutes(deps: LinkRoutesDeps) {
  const { db, csrf, pages, codes, passwordRules } = deps;
  const router = new Router<TenantState>({ prefix: '/link' });

  router.get('/', async (ctx) => {
    const token = new URLSearchParams(ctx.querystring).get('token') ?? '';
    await showLink(ctx, token, 200, []);
  });

  router.post('/', async (ctx) => {
    const answer = await parseForm(ctx, form);
    csrf.check(ctx, bindingOf(answer.token), answer.csrf);
    const { link } = await codes.inspect(tenantOf(ctx).id, answer.token);
    const kind = link && kindOf(link);
    if (!link || !kind) return showLink(ctx, answer.token, 410, []);
    try {
      await act(ctx, kind, answer);
    } catch (err) {
      if (!(err instanceof AppError)) throw err;
      if (err.status === 410) return showLink(ctx, answer.token, 410, []);
      if (err.code === 'user.email_taken') return showEnd(ctx, 409, 'taken', link);
      if (err.errors.length === 0) throw err;
      return showLink(ctx, answer.token, err.status, err.errors);
    }
    // A page of its own address: coming back to it must not send the form again.
    seeOther(ctx, `${mountPathOf(ctx)}/link/done?token=${encodeURIComponent(answer.token)}`);
  });

  router.get('/done', async (ctx) => {
    const token = new URLSearchParams(ctx.querystring).get('token') ?? '';
    const { state, link } = await codes.inspect(tenantOf(ctx).id, token);
    const kind = link && kindOf(link);
    if (state === 'used' && kind) return showEnd(ctx, 200, kind, link);
    await showLink(ctx, token, 410, []);
  });

  router.post('/renew', async (ctx) => {
    const { token, csrf: csrfToken } = await parseForm(ctx, form);
    csrf.check(ctx, bindingOf(token), csrfToken);
    await deps.invitations.renew(anonymousActor(ctx, tenantOf(ctx).id), token);
    seeOther(ctx, `${mountPathOf(ctx)}/link/renewed`);
  });

  router.get('/renewed', (ctx) => showEnd(ctx, 200, 'renewed', undefined));

  return router;

  async function act(
    ctx: TenantRequestContext,
    kind: Kind,
    { token, password }: { token: string; password: string },
  ): Promise<void> {
    const actor = anonymousActor(ctx, tenantOf(ctx).id);
    const { locale } = ctx.state.language.translator();
    switch (kind) {
      case 'password_reset':
        await deps.passwordReset.complete(actor, { token }, { password, endsAccess: true, locale });
        return;
      case 'invitation':
        await deps.invitations.accept(actor, token, { password });
        return;
      case 'email_change_undo':
        await deps.emailChange.undo(actor, token, { password });
        return;
      case 'verify_email':
        await deps.emailVerification.confirmLink(actor, token);
        return;
      case 'unlock':
        await deps.accountLock.unlockByLink(actor, token);
    }
  }

  async function showLink(
    ctx: TenantRequestContext,
    token: string,
    status: number,
    faults: OpenLinkLocals['faults'],
  ): Promise<void> {
    const tenant = tenantOf(ctx);
    const { state, link } = await codes.inspect(tenant.id, token);
    await learnLanguage(ctx, link);
    if (!link || state !== 'open') {
      // Also for a link that never was: it tells a stranger nothing.
      return showEnd(ctx, 410, state === 'used' ? 'used' : 'expired', link, token);
    }
    const kind = kindOf(link);
    if (!kind) return showEnd(ctx, 200, 'elsewhere', link);
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = pages.openPage(ctx.state.language, {
      kind,
      tenant: { name: tenant.name },
      form: { action: `${mountPathOf(ctx)}/link`, csrf: csrf.token(bindingOf(token)) },
      token,
      email: link.address,
      password: passwordRules,
      faults,
    });
  }

  async function showEnd(
    ctx: TenantRequestContext,
    status: number,
    kind: LinkEndLocals['kind'],
    link: ProvedCode | undefined,
    token = '',
  ): Promise<void> {
    await learnLanguage(ctx, link);
    const action = `${mountPathOf(ctx)}/link/renew`;
    const isInvitation = kind === 'expired' && (link === undefined || link.purpose === 'invitation');
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = pages.endPage(ctx.state.language, {
      kind,
      tenant: { name: tenantOf(ctx).name },
      app: await appOf(ctx, link?.context.clientId),
      renew: isInvitation ? { form: { action, csrf: csrf.token(bindingOf(token)) }, token } : null,
    });
  }

  /** As the mail was: what its reader saved, else where it was asked for. */
  async function learnLanguage(ctx: TenantRequestContext, link: ProvedCode | undefined): Promise<void> {
    if (!link) return;
    const saved =
      link.userId === undefined ? undefined : await savedLocales(db, tenantOf(ctx).id).of(link.userId);
    ctx.state.language.learn({ account: saved ?? link.context.locale });
  }

  async function appOf(ctx: TenantRequestContext, clientId: string | undefined) {
    const { directory, issuer } = ctx.state.tenantProvider.context;
    const client = clientId === undefined ? undefined : await directory.client(clientId);
    const { initiate_login_uri: signIn, client_uri: home } = client?.metadata ?? {};
    // Where the app begins a sign-in by itself: the request of the other device is of no use in this one.
    const href = typeof signIn === 'string' ? initiateLoginUrl(signIn, issuer) : home;
    return client && typeof href === 'string' ? { name: client.name, href } : null;
  }
}

function kindOf({ purpose }: ProvedCode): Kind | undefined {
  return KINDS.has(purpose) ? (purpose as Kind) : undefined;
}

function bindingOf(token: string): string {
  return `link ${sha256(token).toString('hex')}`;
}

function tenantOf(ctx: TenantRequestContext) {
  return ctx.state.tenantProvider.tenant;
}

function mountPathOf(ctx: TenantRequestContext): string {
  return ctx.state.tenantProvider.context.mountPath;
}
