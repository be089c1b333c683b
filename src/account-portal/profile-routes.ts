import { z } from 'zod';
import { forgetChoice } from '../i18n/locale-choice.ts';
import { AppError } from '../lib/errors.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { doneOf } from './done.ts';
import type { Portal } from './portal.ts';
import { seeOther } from '../http/see-other.ts';
import type { SectionDeps } from './portal-routes.ts';

/** Those that people state of themselves; an empty field removes the claim. */
const FIELDS = [
  'name',
  'given_name',
  'family_name',
  'nickname',
  'locale',
  'zoneinfo',
  'picture',
  'website',
] as const;
type Field = (typeof FIELDS)[number];

const text = z.string().trim().max(2048).default('');
const fields = Object.fromEntries(FIELDS.map((name) => [name, text])) as Record<Field, typeof text>;

/** Who people say they are, as apps with access to the profile see it. */
export function profileRoutes({ router, doors, show, users, locales, emailChange }: SectionDeps): void {
  router.get(
    '/profile',
    doors.page((ctx, portal) =>
      showForm(ctx, portal, {
        values: Object.fromEntries(FIELDS.map((name) => [name, portal.profile.claims[name] ?? ''])),
      }),
    ),
  );

  router.post(
    '/profile',
    doors.form({ fields, page: '/profile' }, async (ctx, portal, values) => {
      const offered = offeredLocales(portal);
      const faulty = faultsOf(values, offered);
      if (faulty.length > 0) return showForm(ctx, portal, { values, faulty, status: 422 });
      try {
        const claims = Object.fromEntries(
          FIELDS.map((name) => [name, values[name] === '' ? null : values[name]]),
        );
        await users.update(portal.actor, portal.user.id, { claims });
      } catch (err) {
        if (!(err instanceof AppError) || err.code !== 'user.claims_invalid') throw err;
        const named = err.errors.flatMap(
          ({ path }) => FIELDS.find((name) => path === `/claims/${name}`) ?? [],
        );
        return showForm(ctx, portal, { values, faulty: named, status: 422 });
      }
      // What was chosen last holds: an older choice in this browser would hide it.
      if (values.locale !== (portal.profile.claims.locale ?? '')) {
        const { publicUrl } = ctx.state.tenantProvider.context;
        forgetChoice(ctx, { secure: publicUrl.startsWith('https:') });
      }
      seeOther(ctx, `${portal.basePath}/profile?done=saved`);
    }),
  );

  /** Those there are texts in, and one that an app or an import saved: what is not shown would be lost. */
  function offeredLocales({ profile }: Portal): readonly string[] {
    const { locale = '' } = profile.claims;
    return locale === '' || locales.includes(locale) ? locales : [...locales, locale];
  }

  function faultsOf(values: Record<Field, string>, offered: readonly string[]): Field[] {
    return [
      ...(values.zoneinfo === '' || isTimeZone(values.zoneinfo) ? [] : (['zoneinfo'] as const)),
      ...(values.locale === '' || offered.includes(values.locale) ? [] : (['locale'] as const)),
    ];
  }

  function showForm(
    ctx: TenantRequestContext,
    portal: Portal,
    { values, faulty = [], status = 200 }: { values: object; faulty?: readonly Field[]; status?: number },
  ): void {
    show(ctx, portal, {
      view: 'profile',
      section: 'profile',
      status,
      locals: {
        values,
        faulty,
        isVerified: portal.user.emailVerifiedAt !== null,
        canMail: emailChange !== undefined,
        languages: offeredLocales(portal).map((locale) => ({ locale, name: nameOfLanguage(locale) })),
        done: doneOf(ctx, ['saved', 'email']),
      },
    });
  }
}

/** By its own name, if it is a language at all. */
function nameOfLanguage(locale: string): string {
  try {
    return new Intl.DisplayNames(locale, { type: 'language' }).of(locale) ?? locale;
  } catch {
    return locale;
  }
}

function isTimeZone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }));
  } catch {
    return false;
  }
}
