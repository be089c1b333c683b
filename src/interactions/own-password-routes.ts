import type Router from '@koa/router';
import { z } from 'zod';
import type { Csrf } from '../http/csrf.ts';
import type { Actor } from '../http/actor.ts';
import { anonymousActor } from '../http/request-state.ts';
import { allowFormAction } from '../http/security-headers.ts';
import { minutes } from '../lib/clock.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError, defineErrors } from '../lib/errors.ts';
import type { TenantRequestContext, TenantState } from '../oidc/tenant-state.ts';
import type { PasswordRules } from '../users/password-policy.ts';
import type { TemporaryPasswords } from '../users/temporary-passwords.ts';
import { pathOf } from './dispatch.ts';
import type { InteractionContext, LoadOptions } from './interaction-context.ts';
import type { LoginState } from './login-state.ts';
import type { MailedPages } from './mailed-pages.ts';
import { toFault } from './mailed-steps.ts';
import type { StepOutcome } from './sign-in-steps.ts';
import { seeOther } from '../http/see-other.ts';

/**
 * The screen after a temporary password: the person chooses their own before the sign-in is complete. What was
 * proved is in the sign-in's sealed state, so nobody gets here without the temporary one.
 */
export interface OwnPasswordDeps {
  csrf: Csrf;
  mailedPages: MailedPages;
  passwordRules: PasswordRules;
  temporaryPasswords: TemporaryPasswords;
  now: Clock;
  on: (
    handler: (ctx: TenantRequestContext, interaction: InteractionContext) => Promise<void>,
  ) => (ctx: TenantRequestContext) => Promise<void>;
  onAdmitted: OnAdmitted;
  proceed: (ctx: TenantRequestContext, of: InteractionContext, outcome: StepOutcome) => Promise<void>;
}

export type OnAdmitted = <Schema extends z.ZodType<{ csrf: string }>>(
  schema: Schema,
  handler: (
    ctx: TenantRequestContext,
    interaction: InteractionContext,
    form: z.output<Schema>,
  ) => Promise<void>,
  options?: LoadOptions,
) => (ctx: TenantRequestContext) => Promise<void>;

const PROVED_MS = minutes(15);
const STEP = 'own_password';
const form = z.object({ csrf: z.string().default(''), password: z.string().default('') });

const fail = defineErrors('interaction', {
  wrong_step: { status: 409, message: 'The sign-in is at another step. Open the page again and retry.' },
});

export function addOwnPasswordRoutes(router: Router<TenantState>, deps: OwnPasswordDeps): void {
  const { csrf, mailedPages, passwordRules, temporaryPasswords, now, on, onAdmitted, proceed } = deps;

  router.get(
    pathOf(STEP, ''),
    on(async (ctx, { interaction, basePath, app, state, tenantProvider }) => {
      if (!state.temporary) {
        seeOther(ctx, basePath);
        return;
      }
      allowFormAction(ctx, String(interaction.params['redirect_uri']));
      ctx.type = 'html';
      ctx.body = mailedPages.choosePage(ctx.state.language, {
        app,
        tenant: { name: tenantProvider.tenant.name },
        kind: STEP,
        form: { action: pathOf(STEP, basePath), csrf: csrf.token(interaction.uid) },
        email: state.email ?? '',
        fields: [],
        password: passwordRules,
        error: state.mailedError ?? null,
        cancelHref: `${basePath}/cancel`,
      });
    }),
  );

  router.post(
    pathOf(STEP, ''),
    onAdmitted(form, async (ctx, interaction, answer) => {
      if (!interaction.state.temporary) throw fail('wrong_step');
      const actor = anonymousActor(ctx, interaction.tenantProvider.tenant.id);
      await proceed(ctx, interaction, await choose(interaction.state, answer.password, actor));
    }),
  );

  async function choose(state: LoginState, password: string, actor: Actor): Promise<StepOutcome> {
    const { mailedError: _error, temporary, ...rest } = state;
    if (!temporary || now().getTime() > temporary.provedAt + PROVED_MS)
      return { kind: 'retry', state: again() };
    try {
      const user = await temporaryPasswords.replace(actor, { ...temporary, password });
      return { kind: 'authenticated', user, methods: ['pwd'] };
    } catch (err) {
      if (!(err instanceof AppError)) throw err;
      if (err.status === 410) return { kind: 'retry', state: again() };
      const kept = { ...rest, temporary, step: STEP } as const;
      if (err.code === 'password.busy')
        return { kind: 'retry', state: { ...kept, mailedError: { reason: 'busy' } } };
      if (err.errors.length === 0) throw err;
      const faults = err.errors.map(toFault);
      return { kind: 'retry', state: { ...kept, mailedError: { reason: 'fields', faults } } };
    }

    /** It took too long, or another tab was faster: the password is asked for again. */
    function again(): LoginState {
      return { ...rest, step: 'password' };
    }
  }
}
