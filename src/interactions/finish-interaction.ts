import type { InteractionResults } from 'oidc-provider';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import { anonymousActor } from '../http/request-state.ts';
import { inUnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import type { User } from '../users/user.ts';
import type { InteractionContext } from './interaction-context.ts';

/**
 * Hands the outcome to the engine. The interaction is locked, so that of two answers given at once the
 * second one meets the first one's result; what the outcome changes and its event commit together.
 * @param change runs in the same transaction, before the result is stored
 * @returns where the browser goes on
 */
export async function finishInteraction(
  ctx: TenantRequestContext,
  { tenantProvider }: InteractionContext,
  result: (trx: Db) => Promise<InteractionResults>,
): Promise<string> {
  const { provider, context } = tenantProvider;
  const actor = anonymousActor(ctx, context.tenant.id);
  let returnTo = '';
  await guarded(() =>
    inUnitOfWork({ db: context.db, kind: 'browser', actor }, async (unit) => {
      await provider.interactionDetails(ctx.req, ctx.res);
      const outcome = await result(await unit.transaction());
      const isRefusal = 'error' in outcome;
      returnTo = await provider.interactionResult(ctx.req, ctx.res, outcome, {
        mergeWithLastSubmission: !isRefusal,
      });
      return true;
    }),
  );
  return returnTo;
}

/** Somebody proved who they are. */
export function finishLogin(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
  { user, methods, at }: { user: User; methods: string[]; at: Date },
): Promise<string> {
  interaction.knownAccounts.remember(ctx, user.id);
  return finishInteraction(ctx, interaction, async (trx) => {
    const actor = { ...anonymousActor(ctx, user.tenantId), type: 'user' as const, id: user.id };
    await recordEvent(trx, actor, 'user.login', {
      target: { type: 'user', id: user.id },
      data: { client_id: interaction.app.id, amr: methods },
    });
    return {
      login: { accountId: user.id, amr: methods, ts: Math.floor(at.getTime() / 1000), remember: true },
      // Choosing whose password to type is choosing an account.
      ...(interaction.situation.prompt === 'select_account' ? { select_account: {} } : {}),
    };
  });
}

export function finishWithRefusal(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
): Promise<string> {
  return finishInteraction(ctx, interaction, async () => ({
    error: 'access_denied',
    error_description: 'the person did not continue',
  }));
}
