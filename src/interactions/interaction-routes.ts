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
import type { PasswordRules } from '../users/password-policy.ts';
import type { NoticeNewDevice } from '../sessions/new-device.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import type { SignInAdmission } from '../users/sign-in-admission.ts';
import type { TemporaryPasswords } from '../users/temporary-passwords.ts';
import { allowConsent, needsNoConsent } from './consent-step.ts';
import { firstScreen, nextScreen, pathOf, startingEmail } from './dispatch.ts';
import type { Screen } from './dispatch.ts';
import { finishInteraction, finishLogin, finishWithRefusal } from './finish-interaction.ts';
import { loadInteraction } from './interaction-context.ts';
import type { InteractionContext, LoadOptions } from './interaction-context.ts';
import { loginStateStore } from './login-state.ts';
import type { LoginState } from './login-state.ts';
import type { InteractionPages } from './pages.ts';
import type { MailedPages } from './mailed-pages.ts';
import { isMailedScreen } from './mailed-state.ts';
import type { MailedScreen } from './mailed-state.ts';
import { addMailedRoutes } from './mailed-routes.ts';
import type { MailedDeps } from './mailed-steps.ts';
import { addOwnPasswordRoutes } from './own-password-routes.ts';
import type { OnAdmitted } from './own-password-routes.ts';
import { addProfileRoutes, showProfile } from './profile-step.ts';
import type { ProfileDeps } from './profile-step.ts';
import { renderScreen } from './render-screen.ts';
import { restartInteraction } from './restart-interaction.ts';
import { accountStep, identifierStep, passwordStep } from './sign-in-steps.ts';
import type { StepOutcome } from './sign-in-steps.ts';
import { seeOther } from '../http/see-other.ts';

/**
 * The screens between an authorization request and its answer. A GET shows where the sign-in stands, a
 * POST takes one answer and goes back there by 303, so that the browser's own buttons are harmless.
 */
export interface InteractionDeps {
  csrf: Csrf;
  pages: InteractionPages;
  httpPages: HttpPages;
  signIn: PasswordSignIn;
  admitSignIn: SignInAdmission;
  temporaryPasswords: TemporaryPasswords;
  noticeNewDevice: NoticeNewDevice;
  /** Recovery, sign-up and codes; absent where no mail can be sent. */
  mailed?: MailedDeps | undefined;
  mailedPages: MailedPages;
  passwordRules: PasswordRules;
  usersOn: ProfileDeps['usersOn'];
  now: Clock;
}

type Handler = (ctx: TenantRequestContext, interaction: InteractionContext) => Promise<void>;

/** As long as a browser may take to send the second of two presses. */
const PRESSED_AGAIN_SECONDS = 10;

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
  const { csrf, signIn, admitSignIn, now } = deps;

  /** Loads the sign-in; one that is gone starts over. */
  const on = (handler: Handler, options?: LoadOptions) => async (ctx: TenantRequestContext) => {
    let interaction: InteractionContext;
    try {
      interaction = await loadInteraction(ctx, deps, options);
      await handler(ctx, interaction);
    } catch (err) {
      if (!(err instanceof errors.SessionNotFound)) throw err;
      await restartInteraction(ctx, String(ctx['params'].uid), deps);
    }
  };

  /**
   * For what takes a seat among those who sign in. By then the form has come and was checked: whoever sends one
   * slowly would keep the seat from everybody else.
   */
  const onAdmitted: OnAdmitted = (schema, handler, options) => async (ctx) => {
    const form = await parseForm(ctx, schema);
    csrf.check(ctx, String(ctx['params'].uid), form.csrf);
    await admitSignIn(() => on((_ctx, interaction) => handler(ctx, interaction, form), options)(ctx));
  };

  const show = (
    ctx: TenantRequestContext,
    screen: Exclude<Screen, MailedScreen | 'own_password' | 'profile'>,
    interaction: InteractionContext,
  ) => renderScreen(ctx, screen, interaction, deps);

  router.get(
    '/',
    on(async (ctx, interaction) => {
      const screen = firstScreen(interaction.situation);
      if (isMailedScreen(screen)) {
        seeOther(ctx, pathOf(screen, interaction.basePath));
        return;
      }
      if (screen === 'consent' && (await needsNoConsent(interaction))) {
        seeOther(ctx, await allowConsent(ctx, interaction));
        return;
      }
      if (screen === 'profile') await showProfile(ctx, interaction, deps);
      else await show(ctx, screen, interaction);
    }),
  );

  // Signing in is open at the consent as well, for who is not the one it asks: "Not you?".
  router.get(
    '/identifier',
    on((ctx, interaction) => show(ctx, 'identifier', interaction)),
  );

  router.get(
    '/accounts',
    on((ctx, interaction) =>
      show(ctx, interaction.situation.knowsAccounts ? 'accounts' : 'identifier', interaction),
    ),
  );

  router.get(
    '/password',
    on(async (ctx, interaction) => {
      if (startingEmail(interaction.state, interaction.situation) === undefined)
        seeOther(ctx, interaction.basePath);
      else await show(ctx, 'password', interaction);
    }),
  );

  router.get(
    '/cancel',
    on(async (ctx, interaction) => {
      seeOther(ctx, await finishWithRefusal(ctx, interaction));
    }),
  );

  router.post(
    '/identifier',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, identifierForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      await proceed(ctx, interaction, identifierStep(interaction.state, form));
    }),
  );

  router.post(
    '/password',
    onAdmitted(
      passwordForm,
      async (ctx, interaction, form) => {
        const email = startingEmail(interaction.state, interaction.situation);
        if (email === undefined) throw fail('wrong_step');

        const actor = anonymousActor(ctx, interaction.tenantProvider.tenant.id);
        const outcome = await passwordStep(
          interaction.state,
          { email, password: form.password, isKnownBrowser: knowsAccount(interaction, email) },
          { actor, signIn, now },
        );
        await proceed(ctx, interaction, outcome);
      },
      // Whoever presses twice has a browser that waits for the second answer alone.
      { endedSeconds: PRESSED_AGAIN_SECONDS },
    ),
  );

  router.post(
    '/accounts',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, accountForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      const chosen = interaction.known.find(({ user }) => user.id === form.account)?.user;
      if (!chosen) throw fail('unknown_account');

      // Only to be chosen, not to be proved: who is signed in stays signed in.
      const { prompt } = interaction.situation;
      if (prompt !== 'login' && chosen.id === interaction.sessionUser?.id) {
        interaction.knownAccounts.remember(ctx, chosen.id);
        const goOn =
          prompt === 'select_account'
            ? await finishInteraction(ctx, interaction, async () => ({ select_account: {} }))
            : interaction.basePath;
        seeOther(ctx, goOn);
        return;
      }
      await proceed(ctx, interaction, accountStep(interaction.state, chosen));
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

  addOwnPasswordRoutes(router, { ...deps, on, onAdmitted, proceed });
  addProfileRoutes(router, { ...deps, on });
  if (deps.mailed) {
    const render = { ...deps, pages: deps.mailedPages };
    addMailedRoutes(router, { mailed: deps.mailed, render, csrf, on, proceed, knowsAccount });
  }
  return router;

  async function proceed(
    ctx: TenantRequestContext,
    interaction: InteractionContext,
    outcome: StepOutcome,
  ): Promise<void> {
    if (outcome.kind === 'authenticated') {
      const { user, methods } = outcome;
      seeOther(ctx, await finishLogin(ctx, interaction, { user, methods, at: now() }, deps));
      return;
    }
    const { error } = outcome.state;
    if (error?.reason === 'busy' || error?.reason === 'throttled') {
      // Nothing was judged, so nothing is kept; the status tells machines what the page tells people.
      const isBusy = error.reason === 'busy';
      ctx.status = isBusy ? 503 : 429;
      ctx.set('Retry-After', isBusy ? '2' : String(error.retryAfterSeconds));
      await show(ctx, 'password', { ...interaction, state: outcome.state });
      return;
    }
    await saveState(interaction, outcome.state);
    seeOther(ctx, pathOf(nextScreen(outcome.state, interaction.situation), interaction.basePath));
  }
}

/** Whether the account was signed in to on this browser before. */
function knowsAccount({ known, sessionUser }: InteractionContext, email: string): boolean {
  const addresses = [sessionUser?.email, ...known.map(({ user }) => user.email)];
  return addresses.some((address) => address?.toLowerCase() === email.toLowerCase());
}

async function saveState(
  { tenantProvider, interaction }: InteractionContext,
  state: LoginState,
): Promise<void> {
  const { db, tenant, sealer } = tenantProvider.context;
  // The answer came with our cookie, so nothing goes in circles.
  const answered = { ...state, restarts: 0 };
  await guarded(() => loginStateStore(db, tenant.id, sealer).save(interaction.uid, answered));
}
