import Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import { parseForm } from '../http/body.ts';
import type { Csrf } from '../http/csrf.ts';
import { anonymousActor } from '../http/request-state.ts';
import type { RequestState } from '../http/request-state.ts';
import { fieldErrorText } from '../i18n/error-texts.ts';
import type { Translator } from '../i18n/translations.ts';
import { AppError } from '../lib/errors.ts';
import { sha256 } from '../lib/ids.ts';
import { DEFAULT_TENANT_SLUG, mountPathOf } from '../tenants/tenant.ts';
import type { Tenant } from '../tenants/tenant.ts';
import type { PasswordRules } from '../users/password-policy.ts';
import type { SetupClosedLocals, SetupPages } from './setup-pages.ts';
import type { SetupService } from './setup-service.ts';
import { seeOther } from '../http/see-other.ts';

/** As long as the link itself at most; its own life decides. */
const COOKIE_LIFE_MS = 30 * 60_000;

// Longer than anything that is accepted, so that what is wrong with it can be said; the body is bounded as well.
const form = z.object({
  csrf: z.string().max(200),
  token: z.string().max(200),
  email: z.string().max(2000),
  name: z.string().max(2000),
  password: z.string().max(10_000),
});

type Context = RouterContext<RequestState>;

export interface SetupRoutesDeps {
  setup: Pick<SetupService, 'isNeeded' | 'inspect' | 'outcomeOf' | 'complete'>;
  findTenant: (slug: string) => Promise<Tenant | undefined>;
  csrf: Csrf;
  pages: SetupPages;
  passwordRules: PasswordRules;
  publicUrl: string;
  /** What the done page offers to do next. */
  demoUrl?: string | null;
}

/** `/setup` and `/t/:slug/setup`: the form behind a set-up link, and the page after it. */
export function setupRoutes(deps: SetupRoutesDeps): Router<RequestState> {
  const { setup, findTenant, csrf, pages, passwordRules, publicUrl, demoUrl = null } = deps;
  const router = new Router<RequestState>();
  const isSecure = publicUrl.startsWith('https:');
  const cookieName = `${isSecure ? '__Secure-' : ''}gatehouse_setup`;

  async function tenantOf(ctx: Context): Promise<Tenant> {
    const { slug = DEFAULT_TENANT_SLUG } = ctx.params as { slug?: string };
    const isAlias = ctx.params['slug'] === DEFAULT_TENANT_SLUG;
    const tenant = isAlias ? undefined : await findTenant(slug);
    if (!tenant || tenant.disabledAt) return ctx.throw(404);
    return tenant;
  }

  function remember(ctx: Context, tenant: Tenant, token: string): void {
    ctx.cookies.set(cookieName, token, {
      httpOnly: true,
      // Lax: the link may be followed from another site, such as a web mailer.
      sameSite: 'lax',
      secure: isSecure,
      path: pathOf(tenant),
      maxAge: COOKIE_LIFE_MS,
      signed: false,
      overwrite: true,
    });
  }

  function show(ctx: Context, status: number, html: string): void {
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = html;
  }

  function showClosed(ctx: Context, reason: SetupClosedLocals['reason']): void {
    show(ctx, reason === 'done' ? 403 : 410, pages.setupClosedPage(ctx.state.language, { reason }));
  }

  function showForm(
    ctx: Context,
    tenant: Tenant,
    { token, status = 200, values = { email: '', name: '' }, errors = {} }: FormState,
  ): void {
    const html = pages.setupPage(ctx.state.language, {
      action: pathOf(tenant),
      csrf: csrf.token(bindingOf(token)),
      token,
      values,
      errors,
      password: passwordRules,
    });
    show(ctx, status, html);
  }

  router.get(['/setup', '/t/:slug/setup'], async (ctx) => {
    const tenant = await tenantOf(ctx);
    const given = new URLSearchParams(ctx.querystring).get('token');
    if (given !== null && given.length <= 200) {
      // Out of the address, which ends up in histories, screenshots and logs.
      remember(ctx, tenant, cookieSafe(given));
      return seeOther(ctx, pathOf(tenant));
    }

    const token = ctx.cookies.get(cookieName, { signed: false });
    const state = token === undefined ? 'expired' : await setup.inspect(tenant.id, token);
    if (token !== undefined && state === 'open') return showForm(ctx, tenant, { token });
    if (token === undefined && !(await setup.isNeeded(tenant.id))) return showClosed(ctx, 'done');
    showClosed(ctx, state === 'used' ? 'used' : 'expired');
  });

  router.post(['/setup', '/t/:slug/setup'], async (ctx) => {
    const tenant = await tenantOf(ctx);
    const { csrf: csrfToken, token, email, name, password } = await parseForm(ctx, form);
    csrf.check(ctx, bindingOf(token), csrfToken);

    try {
      await setup.complete(anonymousActor(ctx, tenant.id), token, { email, name, password });
    } catch (err) {
      if (!(err instanceof AppError)) throw err;
      if (err.code === 'setup.link_invalid') return showClosed(ctx, await closedReason(tenant, token));
      const errors = fieldErrors(err, ctx.state.language.translator());
      if (Object.keys(errors).length === 0) throw err;
      return showForm(ctx, tenant, { token, status: err.status, values: { email, name }, errors });
    }
    // The form's token, which need not be the cookie's: two links may be open in two tabs.
    remember(ctx, tenant, token);
    seeOther(ctx, `${pathOf(tenant)}/done`);
  });

  router.get(['/setup/done', '/t/:slug/setup/done'], async (ctx) => {
    const tenant = await tenantOf(ctx);
    const token = ctx.cookies.get(cookieName, { signed: false });
    const outcome = token === undefined ? undefined : await setup.outcomeOf(tenant.id, token);
    if (!outcome) return seeOther(ctx, pathOf(tenant));
    show(ctx, 200, pages.setupDonePage(ctx.state.language, { email: outcome.email, demoUrl }));
  });

  async function closedReason(tenant: Tenant, token: string): Promise<'used' | 'expired'> {
    return (await setup.inspect(tenant.id, token)) === 'used' ? 'used' : 'expired';
  }

  return router;
}

interface FormState {
  token: string;
  status?: number;
  values?: { email: string; name: string };
  errors?: { email?: string; name?: string; password?: string };
}

function pathOf(tenant: Tenant): string {
  return `${mountPathOf(tenant)}/setup`;
}

/** A form of one link is none of another's. */
function bindingOf(token: string): string {
  return `setup:${sha256(token).toString('base64url')}`;
}

/** Ours are base64url; anything else could not be put into a cookie and is no link anyway. */
function cookieSafe(token: string): string {
  return token.replace(/[^\w-]/g, '.');
}

/** A sentence for every field of the form that the error is about. */
function fieldErrors({ errors }: AppError, translator: Translator): NonNullable<FormState['errors']> {
  const sentencesAbout = (path: string) =>
    errors.filter((error) => error.path === path).map((error) => fieldErrorText(translator, error));
  const [email] = sentencesAbout('/email');
  const password = sentencesAbout('/password').join(' ');
  const isNameFaulty = sentencesAbout('/claims/name').length > 0;
  return {
    ...(email === undefined ? {} : { email }),
    ...(password === '' ? {} : { password }),
    ...(isNameFaulty ? { name: translator.t('setup.name_invalid') } : {}),
  };
}
