import { z } from 'zod';
import { userEvents } from '../events/user-events.ts';
import { fieldErrorText } from '../i18n/error-texts.ts';
import { AppError } from '../lib/errors.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { passwordStore } from '../users/password-store.ts';
import { createPasswordChange } from './change-password.ts';
import { doneOf } from './done.ts';
import type { Portal } from './portal.ts';
import { seeOther } from '../http/see-other.ts';
import type { SectionDeps } from './portal-routes.ts';
import { presentEvent } from './present-event.ts';

const SECURITY_EVENTS =
  /^(user\.(login|login_failed|password_changed|email_changed|unlocked)|auth\.|session\.)/;
const EVENTS_LOOKED_AT = 50;
const EVENTS_SHOWN = 5;

/** The password, and what happened lately that matters for the account's safety. */
export function securityRoutes(deps: SectionDeps): void {
  const { router, doors, show, db, sessions, passwordPolicy } = deps;
  const passwords = createPasswordChange(deps);

  router.get(
    '/security',
    doors.page(async (ctx, portal) => {
      const { actor, user } = portal;
      const [events, sessionCount, isPasswordSet] = await Promise.all([
        userEvents(db, actor.tenantId).list(user.id, { limit: EVENTS_LOOKED_AT }),
        sessions.count(actor, user.id),
        hasPassword(portal),
      ]);
      const translator = ctx.state.language.translator();
      show(ctx, portal, {
        view: 'security',
        section: 'security',
        locals: {
          events: events
            .filter(({ type, aboutUser }) => aboutUser && SECURITY_EVENTS.test(type))
            .slice(0, EVENTS_SHOWN)
            .map((event) => presentEvent(event, translator)),
          hasPassword: isPasswordSet,
          // One of them is this one.
          otherSessions: Math.max(0, sessionCount - 1),
          done: doneOf(ctx, ['password', 'first-password', 'others']),
        },
      });
    }),
  );

  // The page asks for the password itself, so signing in again before would be asking twice.
  router.get(
    '/security/password',
    doors.page(async (ctx, portal) => {
      if (await hasPassword(portal)) showForm(ctx, portal, {});
      else seeOther(ctx, `${portal.basePath}/security/first-password`);
    }),
  );

  router.post(
    '/security/password',
    doors.form(
      {
        fields: { current: z.string().default(''), password: z.string().default('') },
        page: '/security/password',
      },
      async (ctx, portal, { current, password }) => {
        const { t, ...translator } = ctx.state.language.translator();
        if (current === '') {
          return showForm(ctx, portal, { status: 422, current: t('account.password.current_missing') });
        }
        try {
          const outcome = await passwords.change(portal, {
            current,
            next: password,
            locale: translator.locale,
          });
          if (outcome.ok) return seeOther(ctx, `${portal.basePath}/security?done=password`);
          if (outcome.reason === 'mismatch') {
            return showForm(ctx, portal, { status: 403, current: t('account.password.mismatch') });
          }
          const { retryAfterSeconds } = outcome;
          ctx.set('Retry-After', String(retryAfterSeconds));
          const wait = translator.duration(retryAfterSeconds);
          showForm(ctx, portal, { status: 429, current: t('interactions.password.throttled', { wait }) });
        } catch (err) {
          const fault = passwordFault(err, ctx);
          if (fault === undefined) throw err;
          showForm(ctx, portal, { status: 422, password: fault });
        }
      },
    ),
  );

  router.get(
    '/security/first-password',
    doors.page(
      async (ctx, portal) => {
        if (await hasPassword(portal)) seeOther(ctx, `${portal.basePath}/security/password`);
        else showForm(ctx, portal, { isFirst: true });
      },
      { isSensitive: true },
    ),
  );

  router.post(
    '/security/first-password',
    doors.form(
      {
        fields: { password: z.string().default('') },
        page: '/security/first-password',
        isSensitive: true,
      },
      async (ctx, portal, { password }) => {
        const { locale } = ctx.state.language.translator();
        try {
          const isSet = await passwords.chooseFirst(portal, { password, locale });
          seeOther(ctx, `${portal.basePath}/security${isSet ? '?done=first-password' : '/password'}`);
        } catch (err) {
          const fault = passwordFault(err, ctx);
          if (fault === undefined) throw err;
          showForm(ctx, portal, { status: 422, password: fault, isFirst: true });
        }
      },
    ),
  );

  // Offered after the password was changed (ASVS 7.4.3).
  router.post(
    '/security/sign-out-others',
    doors.form({ fields: {}, page: '/security' }, async (ctx, portal) => {
      await sessions.revokeOthers(portal.actor, portal.user.id, portal.sessionUid);
      seeOther(ctx, `${portal.basePath}/security?done=others`);
    }),
  );

  function hasPassword({ actor, user }: Portal): Promise<boolean> {
    return passwordStore(db, actor.tenantId).exists(user.id);
  }

  function showForm(
    ctx: TenantRequestContext,
    portal: Portal,
    { status = 200, isFirst = false, ...errors }: FormState,
  ): void {
    const { minLength, maxLength } = passwordPolicy;
    show(ctx, portal, {
      view: 'password',
      section: 'security',
      status,
      locals: { errors, isFirst, rules: { minLength, maxLength } },
    });
  }
}

interface FormState {
  status?: number;
  /** There is no password to ask for. */
  isFirst?: boolean;
  /** What is wrong with the fields. */
  current?: string;
  password?: string;
}

function passwordFault(err: unknown, ctx: TenantRequestContext): string | undefined {
  if (!(err instanceof AppError) || err.code !== 'password.unacceptable') return undefined;
  const translator = ctx.state.language.translator();
  return err.errors.map((fault) => fieldErrorText(translator, fault)).join(' ');
}
