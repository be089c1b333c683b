import Router from '@koa/router';
import { errors } from 'oidc-provider';
import { z } from 'zod';
import { parseForm } from '../http/body.ts';
import type { Csrf } from '../http/csrf.ts';
import type { HttpPages } from '../http/pages.ts';
import { anonymousActor } from '../http/request-state.ts';
import type { Clock } from '../lib/clock.ts';
import { defineErrors } from '../lib/errors.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import type { TenantRequestContext, TenantState } from '../oidc/tenant-state.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import { allowConsent, needsNoConsent } from './consent-step.ts';
import { nextScreen, startingEmail } from './dispatch.ts';
import type { Screen } from './dispatch.ts';
import { finishInteraction, finishLogin, finishWithRefusal } from './finish-interaction.ts';
import { loadInteraction } from './interaction-context.ts';
import type { InteractionContext } from './interaction-context.ts';
import { loginStateStore } from './login-state.ts';
import type { LoginState } from './login-state.ts';
import type { InteractionPages } from './pages.ts';
import { renderScreen } from './render-screen.ts';
import { restartInteraction } from './restart-interaction.ts';
import { identifierStep, passwordStep } from './sign-in-steps.ts';

/**
 * The screens between an authorization request and its answer. A GET shows where the sign-in stands, a
 * POST takes one answer and goes back there by 303, so that the browser's own buttons are harmless.
 */
export interface InteractionDeps {
  csrf: Csrf;
  pages: InteractionPages;
  httpPages: HttpPages;
  signIn: PasswordSignIn;
  now: Clock;
}

type Handler = (ctx: TenantRequestContext, interaction: InteractionContext) => Promise<void>;

const fail = defineErrors('interaction', {
  unknown_account: {
    status: 400,
    message: 'That account is not known on this browser. Open the page again and retry.',
  },
  wrong_step: { status: 409, message: 'The sign-in is at another step. Open the page again and retry.' },
});

const csrfField = { csrf: z.string().default('') };
const identifierForm = z.object({ ...csrfField, username: z.string().default('') });
const passwordForm = z.object({ ...csrfField, password: z.string().default('') });
const accountForm = z.object({ ...csrfField, account: z.string().default('') });
const consentForm = z.object({ ...csrfField, decision: z.enum(['allow', 'cancel']) });

export function interactionRoutes(deps: InteractionDeps) {
  const router = new Router<TenantState>({ prefix: '/interaction/:uid' });
  const { csrf, signIn, now } = deps;

  /** Loads the sign-in; one that is gone starts over. */
  const on = (handler: Handler) => async (ctx: TenantRequestContext) => {
    let interaction: InteractionContext;
    try {
      interaction = await loadInteraction(ctx, deps);
      await handler(ctx, interaction);
    } catch (err) {
      if (!(err instanceof errors.SessionNotFound)) throw err;
      await restartInteraction(ctx, String(ctx['params'].uid), deps);
    }
  };

  const show = (ctx: TenantRequestContext, screen: Screen, interaction: InteractionContext) =>
    renderScreen(ctx, screen, interaction, deps);

  router.get(
    '/',
    on(async (ctx, interaction) => {
      const screen = nextScreen(interaction.state, interaction.situation);
      if (screen === 'consent' && (await needsNoConsent(interaction))) {
        seeOther(ctx, await allowConsent(ctx, interaction));
        return;
      }
      await show(ctx, screen, interaction);
    }),
  );

  // Links between the screens of signing in; what they show depends on nothing but the request itself.
  router.get(
    '/identifier',
    on(async (ctx, interaction) => {
      requireSignIn(interaction);
      await show(ctx, 'identifier', interaction);
    }),
  );

  router.get(
    '/accounts',
    on(async (ctx, interaction) => {
      requireSignIn(interaction);
      await show(ctx, interaction.situation.knowsAccounts ? 'accounts' : 'identifier', interaction);
    }),
  );

  router.get(
    '/cancel',
    on(async (ctx, interaction) => {
      seeOther(ctx, await finishWithRefusal(ctx, interaction));
    }),
  );

  // "Not you?" on the consent page: the same request, but with the question who it is.
  router.get(
    '/switch',
    on(async (ctx, { state }) => {
      if (!state.authorizationPath) throw new errors.SessionNotFound('the request cannot be repeated');
      seeOther(ctx, withPrompt(state.authorizationPath, 'select_account'));
    }),
  );

  router.post(
    '/identifier',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, identifierForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      requireSignIn(interaction);
      await proceed(ctx, interaction, identifierStep(interaction.state, form));
    }),
  );

  router.post(
    '/password',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, passwordForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      requireSignIn(interaction);
      const email = startingEmail(interaction.state, interaction.situation);
      if (email === undefined) throw fail('wrong_step');

      const actor = anonymousActor(ctx, interaction.tenantProvider.tenant.id);
      const outcome = await passwordStep(
        interaction.state,
        { email, password: form.password },
        { actor, signIn },
      );
      await proceed(ctx, interaction, outcome);
    }),
  );

  router.post(
    '/accounts',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, accountForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      requireSignIn(interaction);
      const chosen = interaction.known.find(({ user }) => user.id === form.account)?.user;
      if (!chosen) throw fail('unknown_account');

      // Only to be chosen, not to be proved: who is signed in stays signed in.
      if (interaction.situation.prompt === 'select_account' && chosen.id === interaction.sessionUser?.id) {
        interaction.knownAccounts.remember(ctx, chosen.id);
        seeOther(ctx, await finishInteraction(ctx, interaction, async () => ({ select_account: {} })));
        return;
      }
      const { error: _error, ...state } = interaction.state;
      await proceed(ctx, interaction, {
        kind: 'advance',
        state: { ...state, step: 'password', email: chosen.email },
      });
    }),
  );

  router.post(
    '/accounts/remove',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, accountForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      interaction.knownAccounts.forget(ctx, form.account);
      seeOther(ctx, `${interaction.basePath}/accounts`);
    }),
  );

  router.post(
    '/consent',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, consentForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      if (interaction.situation.prompt !== 'consent') throw fail('wrong_step');
      const finish = form.decision === 'allow' ? allowConsent : finishWithRefusal;
      seeOther(ctx, await finish(ctx, interaction));
    }),
  );

  return router;

  async function proceed(
    ctx: TenantRequestContext,
    interaction: InteractionContext,
    outcome: Awaited<ReturnType<typeof passwordStep>>,
  ): Promise<void> {
    if (outcome.kind === 'authenticated') {
      const { user, methods } = outcome;
      seeOther(ctx, await finishLogin(ctx, interaction, { user, methods, at: now() }));
      return;
    }
    if (outcome.state.error?.reason === 'busy') {
      // Nothing was judged, so nothing is kept; the status tells machines what the page tells people.
      ctx.status = 503;
      ctx.set('Retry-After', '2');
      await show(ctx, 'password', { ...interaction, state: outcome.state });
      return;
    }
    await saveState(interaction, outcome.state);
    seeOther(ctx, interaction.basePath);
  }
}

/** A later screen's form proves nothing about the earlier ones: consent is asked only of somebody signed in. */
function requireSignIn({ situation }: InteractionContext): void {
  if (situation.prompt === 'consent') throw fail('wrong_step');
}

async function saveState(
  { tenantProvider, interaction }: InteractionContext,
  state: LoginState,
): Promise<void> {
  const { db, tenant, sealer } = tenantProvider.context;
  await guarded(() => loginStateStore(db, tenant.id, sealer).save(interaction.uid, state));
}

function withPrompt(path: string, prompt: string): string {
  const [pathname = '', query = ''] = path.split('?');
  const params = new URLSearchParams(query);
  params.set('prompt', prompt);
  return `${pathname}?${params}`;
}

export function seeOther(ctx: TenantRequestContext, url: string): void {
  ctx.status = 303;
  ctx.redirect(url);
  ctx.body = '';
}
