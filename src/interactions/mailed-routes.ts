import type Router from '@koa/router';
import { errors } from 'oidc-provider';
import { z } from 'zod';
import { parseForm } from '../http/body.ts';
import type { Csrf } from '../http/csrf.ts';
import { anonymousActor } from '../http/request-state.ts';
import { allowFormAction } from '../http/security-headers.ts';
import { defineErrors } from '../lib/errors.ts';
import type { TenantRequestContext, TenantState } from '../oidc/tenant-state.ts';
import { mayShow, nextScreen, pathOf, startingEmail } from './dispatch.ts';
import { loadInteraction, textOf } from './interaction-context.ts';
import type { InteractionContext } from './interaction-context.ts';
import {
  codeStep,
  linkStep,
  newPasswordStep,
  resendStep,
  sendStep,
  signUpProfileStep,
} from './mailed-steps.ts';
import type { MailedDeps, MailedRequest } from './mailed-steps.ts';
import { MAILED_SCREENS } from './mailed-state.ts';
import type { MailedScreen } from './mailed-state.ts';
import { renderMailed } from './render-mailed.ts';
import type { MailedRender } from './render-mailed.ts';
import type { StepOutcome } from './sign-in-steps.ts';
import { seeOther } from '../http/see-other.ts';

type Handler = (ctx: TenantRequestContext, interaction: InteractionContext) => Promise<void>;

export interface MailedRoutesDeps {
  mailed: MailedDeps;
  render: MailedRender;
  csrf: Csrf;
  /** Loads the sign-in; one that is gone starts over. */
  on: (handler: Handler) => (ctx: TenantRequestContext) => Promise<void>;
  proceed: (ctx: TenantRequestContext, of: InteractionContext, outcome: StepOutcome) => Promise<void>;
  /** Whether the account was signed in to on this browser before. */
  knowsAccount: (of: InteractionContext, email: string) => boolean;
}

const fail = defineErrors('interaction', {
  wrong_step: { status: 409, message: 'The sign-in is at another step. Open the page again and retry.' },
  not_offered: { status: 404, message: 'There is nothing at this address.' },
});

const csrfField = { csrf: z.string().default('') };
const sendForm = z.object({ ...csrfField, email: z.string().default('') });
const codeForm = z.object({ ...csrfField, code: z.string().max(200).default('') });
const linkForm = z.object({ ...csrfField, token: z.string().max(200).default('') });
const plainForm = z.object(csrfField);
const passwordForm = z.object({
  ...csrfField,
  password: z.string().default(''),
  everywhere: z.string().optional(),
});
const profileForm = z.looseObject({ ...csrfField, password: z.string().default('') });

/** The routes of recovery, sign-up and codes, below `/interaction/:uid`. */
export function addMailedRoutes(router: Router<TenantState>, deps: MailedRoutesDeps): void {
  const { mailed, render, csrf, on, proceed, knowsAccount } = deps;

  for (const screen of MAILED_SCREENS) {
    router.get(
      pathOf(screen, ''),
      on(async (ctx, interaction) => {
        requireOffered(screen, interaction);
        if (mayShow(screen, interaction.state)) renderMailed(ctx, screen, interaction, render);
        else seeOther(ctx, interaction.basePath);
      }),
    );
  }

  const sends = { forgot: 'password_reset', email_code: 'sign_in', sign_up: 'sign_up' } as const;
  for (const screen of ['forgot', 'email_code', 'sign_up'] as const) {
    router.post(
      pathOf(screen, ''),
      on(async (ctx, interaction) => {
        const form = await parseForm(ctx, sendForm);
        csrf.check(ctx, interaction.interaction.uid, form.csrf);
        requireOffered(screen, interaction);
        const { state, situation } = interaction;
        const typed = screen === 'email_code' ? startingEmail(state, situation) : form.email;
        if (typed === undefined) throw fail('wrong_step');
        const of = { purpose: sends[screen], typed };
        await proceed(ctx, interaction, await sendStep(state, of, requestOf(ctx, interaction), mailed));
      }),
    );
  }

  router.post(
    '/code',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, codeForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      const sent = sentOf(interaction);
      const isKnownBrowser = knowsAccount(interaction, sent.email);
      const answer = { code: form.code, isKnownBrowser };
      const request = requestOf(ctx, interaction);
      await proceed(ctx, interaction, await codeStep(interaction.state, sent, answer, request, mailed));
    }),
  );

  router.post(
    '/code/resend',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, plainForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      const request = requestOf(ctx, interaction);
      const outcome = await resendStep(interaction.state, sentOf(interaction), request, mailed);
      await proceed(ctx, interaction, outcome);
    }),
  );

  router.post(
    '/new-password',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, passwordForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      if (!mayShow('new_password', interaction.state)) throw fail('wrong_step');
      const answer = { password: form.password, endsAccess: form.everywhere !== undefined };
      const request = requestOf(ctx, interaction);
      await proceed(ctx, interaction, await newPasswordStep(interaction.state, answer, request, mailed));
    }),
  );

  router.post(
    '/sign-up-profile',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, profileForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      if (!mayShow('sign_up_profile', interaction.state)) throw fail('wrong_step');
      const { signUpFields } = interaction.tenantProvider.tenant.settings;
      const claims = Object.fromEntries(signUpFields.map((name) => [name, textOf(form[name])]));
      const account = { password: form.password, claims };
      const request = requestOf(ctx, interaction);
      await proceed(ctx, interaction, await signUpProfileStep(interaction.state, account, request, mailed));
    }),
  );

  /** The link of a mail. In another browser than the one that asked, the page stands by itself. */
  router.get('/link', async (ctx: TenantRequestContext) => {
    const token = new URLSearchParams(ctx.querystring).get('token') ?? '';
    const alone = `${ctx.state.tenantProvider.context.mountPath}/link?token=${encodeURIComponent(token)}`;
    const interaction = await loadInteraction(ctx, { now: render.now, mailed }).catch((err: unknown) => {
      if (err instanceof errors.SessionNotFound) return undefined;
      throw err;
    });
    if (!interaction) return seeOther(ctx, alone);
    const { state, app, basePath, tenantProvider } = interaction;
    if (!state.mailed) return seeOther(ctx, alone);
    if (state.mailed.isProved) {
      return seeOther(ctx, pathOf(nextScreen(state, interaction.situation), basePath));
    }
    allowFormAction(ctx, String(interaction.interaction.params['redirect_uri']));
    ctx.type = 'html';
    ctx.body = render.pages.linkPage(ctx.state.language, {
      app,
      tenant: { name: tenantProvider.tenant.name },
      form: { action: `${basePath}/link`, csrf: csrf.token(interaction.interaction.uid) },
      email: state.mailed.email,
      token,
      cancelHref: `${basePath}/cancel`,
    });
  });

  router.post(
    '/link',
    on(async (ctx, interaction) => {
      const form = await parseForm(ctx, linkForm);
      csrf.check(ctx, interaction.interaction.uid, form.csrf);
      const request = requestOf(ctx, interaction);
      const outcome = await linkStep(interaction.state, sentOf(interaction), form.token, request, mailed);
      await proceed(ctx, interaction, outcome);
    }),
  );

  function requestOf(
    ctx: TenantRequestContext,
    { interaction, tenantProvider }: InteractionContext,
  ): MailedRequest {
    const { id, settings } = tenantProvider.tenant;
    return {
      actor: anonymousActor(ctx, id),
      uid: interaction.uid,
      locale: ctx.state.language.translator().locale,
      settings,
    };
  }
}

function requireOffered(screen: MailedScreen, { situation, tenantProvider }: InteractionContext): void {
  if (screen === 'sign_up' && !situation.offersSignUp) throw fail('not_offered');
  if (screen === 'email_code' && !tenantProvider.tenant.settings.magicLink) throw fail('not_offered');
}

/** What was mailed and is still to be proved. */
function sentOf({ state }: InteractionContext) {
  if (!state.mailed || state.mailed.isProved) throw fail('wrong_step');
  return state.mailed;
}
