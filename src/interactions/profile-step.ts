import type Router from '@koa/router';
import { z } from 'zod';
import { parseForm } from '../http/body.ts';
import type { Csrf } from '../http/csrf.ts';
import type { Db } from '../db/database.ts';
import { anonymousActor } from '../http/request-state.ts';
import { allowFormAction } from '../http/security-headers.ts';
import { AppError, defineErrors } from '../lib/errors.ts';
import type { TenantRequestContext, TenantState } from '../oidc/tenant-state.ts';
import { userStore } from '../users/user-store.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';
import { finishInteraction } from './finish-interaction.ts';
import type { InteractionContext } from './interaction-context.ts';
import type { MailedPages } from './mailed-pages.ts';
import type { MailedError } from './mailed-state.ts';
import { toFault } from './mailed-steps.ts';
import { seeOther } from '../http/see-other.ts';

/**
 * What the profile lacks of the tenant's `profileFields`, asked for after the sign-in (progressive profile). Nobody
 * has to tell anything: either answer ends the question for a while.
 */
export interface ProfileDeps {
  csrf: Csrf;
  mailedPages: MailedPages;
  usersOn: (db: Db) => Pick<UserService, 'update'>;
}

interface ProfileRoutesDeps extends ProfileDeps {
  on: (
    handler: (ctx: TenantRequestContext, interaction: InteractionContext) => Promise<void>,
  ) => (ctx: TenantRequestContext) => Promise<void>;
}

const typed = z.string().max(2048).optional();
const skipForm = z.object({ csrf: z.string().default('') });
const profileForm = skipForm.extend({
  name: typed,
  given_name: typed,
  family_name: typed,
  phone_number: typed,
});

const fail = defineErrors('interaction', {
  wrong_step: { status: 409, message: 'The sign-in is at another step. Open the page again and retry.' },
});

export function addProfileRoutes(router: Router<TenantState>, deps: ProfileRoutesDeps): void {
  const { csrf, usersOn, on } = deps;

  router.post(
    '/profile',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, profileForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      const user = askedOf(interaction);
      const values = Object.fromEntries(
        (await missingOf(interaction, user)).map((name) => [name, form[name]?.trim() ?? '']),
      );
      const claims = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
      const actor = { ...anonymousActor(ctx, user.tenantId), type: 'user' as const, id: user.id };
      try {
        await finish(ctx, interaction, user, async (trx) => {
          await usersOn(trx).update(actor, user.id, { claims });
        });
      } catch (err) {
        if (!(err instanceof AppError) || err.code !== 'user.claims_invalid') throw err;
        ctx.status = 422;
        const error: MailedError = { reason: 'fields', faults: err.errors.map(toFault) };
        await showProfile(ctx, interaction, deps, { values, error });
      }
    }),
  );

  router.post(
    '/profile/skip',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, skipForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      await finish(ctx, interaction, askedOf(interaction), async () => {});
    }),
  );

  async function finish(
    ctx: TenantRequestContext,
    interaction: InteractionContext,
    user: User,
    work: (trx: Db) => Promise<void>,
  ): Promise<void> {
    const returnTo = await finishInteraction(ctx, interaction, async (trx) => {
      await work(trx);
      await userStore(trx, user.tenantId).noteAskedForProfile(user.id);
      return { profile: {} };
    });
    seeOther(ctx, returnTo);
  }
}

/** @param answer what was typed before, and what is wrong with it */
export async function showProfile(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
  { csrf, mailedPages }: Pick<ProfileDeps, 'csrf' | 'mailedPages'>,
  answer: { values: Readonly<Record<string, string>>; error: MailedError | null } = {
    values: {},
    error: null,
  },
): Promise<void> {
  const { app, basePath, tenantProvider } = interaction;
  const user = askedOf(interaction);
  const form = (path: string) => ({
    action: `${basePath}/${path}`,
    csrf: csrf.token(interaction.interaction.uid),
  });
  allowFormAction(ctx, String(interaction.interaction.params['redirect_uri']));
  ctx.type = 'html';
  ctx.body = mailedPages.profilePage(ctx.state.language, {
    app,
    tenant: { name: tenantProvider.tenant.name },
    form: form('profile'),
    skipForm: form('profile/skip'),
    email: user.email,
    fields: (await missingOf(interaction, user)).map((name) => ({ name, value: answer.values[name] ?? '' })),
    error: answer.error,
    cancelHref: `${basePath}/cancel`,
  });
}

/** @throws {AppError} `interaction.wrong_step` where nobody is asked */
function askedOf({ situation, sessionUser }: InteractionContext): User {
  if (situation.prompt !== 'profile' || !sessionUser) throw fail('wrong_step');
  return sessionUser;
}

async function missingOf({ tenantProvider }: InteractionContext, user: User) {
  const { db, tenant } = tenantProvider.context;
  const profile = await userStore(db, tenant.id).profile(user.id);
  return tenant.settings.profileFields.filter((name) => profile?.claims[name] === undefined);
}
