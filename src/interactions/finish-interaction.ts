import type { InteractionResults } from 'oidc-provider';
import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { eventRow, INSERT_EVENT, recordEvent } from '../events/record-event.ts';
import { anonymousActor } from '../http/request-state.ts';
import { defineErrors } from '../lib/errors.ts';
import { ALL_HOLD } from '../oidc/adapter/deferred-writes.ts';
import type { DeferredWrites } from '../oidc/adapter/deferred-writes.ts';
import { inUnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import { PORTAL_PATH } from '../oidc/extensions/portal-client.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { KEEPS_ACCESS } from '../users/user-row.ts';
import type { NoticeNewDevice } from '../sessions/new-device.ts';
import type { User } from '../users/user.ts';
import type { InteractionContext } from './interaction-context.ts';

const fail = defineErrors('interaction', {
  account_closed: { status: 403, message: 'This account cannot be used any more.' },
});

/**
 * Hands the outcome to the engine. The interaction is locked, so that of two answers given at once the
 * second one meets the first one's result; what the outcome changes and its event commit together.
 * @param result runs in the same transaction; what it returns is stored as the interaction's result
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
    inUnitOfWork({ db: context.db, kind: 'browser', actor: () => actor }, async (unit) => {
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
export async function finishLogin(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
  { user, methods, at }: { user: User; methods: string[]; at: Date },
  { noticeNewDevice }: { noticeNewDevice: NoticeNewDevice },
): Promise<string> {
  await noticeUnknownBrowser(ctx, interaction, user, noticeNewDevice);
  interaction.knownAccounts.remember(ctx, user.id);
  const outcome = {
    login: { accountId: user.id, amr: methods, ts: Math.floor(at.getTime() / 1000), remember: true },
    // Choosing whose password to type is choosing an account.
    ...(interaction.situation.prompt === 'select_account' ? { select_account: {} } : {}),
    ...(interaction.situation.prompt === 'create' ? { create: {} } : {}),
  };
  const event = eventRow({ ...anonymousActor(ctx, user.tenantId), type: 'user', id: user.id }, 'user.login', {
    target: { type: 'user', id: user.id },
    data: { client_id: interaction.app.id, amr: methods },
  });

  const returnTo = await finishUnlocked(ctx, interaction, outcome, (deferred) => {
    deferred.guard('account', { name: 'access', sql: STILL_ACTIVE, bindings: [user.tenantId, user.id] });
    deferred.write('event', {
      name: '+event',
      sql: `${INSERT_EVENT} WHERE ${ALL_HOLD}`,
      bindings: event,
    });
  });
  if (returnTo !== undefined) return returnTo;

  return finishInteraction(ctx, interaction, async (trx) => {
    const { rowCount } = await prepared(trx, 'interaction-still-active', STILL_ACTIVE, [
      user.tenantId,
      user.id,
    ]);
    if (rowCount !== 1) throw fail('account_closed');
    await prepared(trx, 'record-event', INSERT_EVENT, event);
    return outcome;
  });
}

/** A browser that remembers the account, or is signed in to it, is nothing to tell of, and costs no query. */
async function noticeUnknownBrowser(
  ctx: TenantRequestContext,
  { known, sessionUser, interaction, tenantProvider }: InteractionContext,
  user: User,
  notice: NoticeNewDevice,
): Promise<void> {
  if (sessionUser?.id === user.id || known.some((account) => account.user.id === user.id)) return;
  const actor = { ...anonymousActor(ctx, user.tenantId), type: 'user' as const, id: user.id };
  await guarded(() =>
    notice(actor, user, {
      occasion: interaction.uid,
      devicesUrl: `${tenantProvider.context.issuer}${PORTAL_PATH}/devices`,
      locale: ctx.state.language.translator().locale,
    }),
  );
}

/** Whoever disabled the user meanwhile has ended all sessions there were; this one must not come after. */
const STILL_ACTIVE = `SELECT 1 FROM users u
  WHERE u.tenant_id = ?::uuid AND u.id = ?::uuid AND ${KEEPS_ACCESS} FOR SHARE OF u`;

/**
 * The same in one statement, if the interaction is still as this request has read it.
 * @param writes adds what goes with the outcome
 * @returns undefined when something is different, and nothing was written
 */
async function finishUnlocked(
  ctx: TenantRequestContext,
  { tenantProvider, interaction, stored }: InteractionContext,
  outcome: InteractionResults,
  writes: (deferred: DeferredWrites) => void,
): Promise<string | undefined> {
  const { provider, context } = tenantProvider;
  const actor = anonymousActor(ctx, context.tenant.id);
  const options = { db: context.db, kind: 'browser', isOptimistic: true, actor: () => actor } as const;
  let returnTo: string | undefined;
  await guarded(() =>
    inUnitOfWork(options, async (unit) => {
      unit.interactions.set(interaction.uid, stored);
      const path = await provider.interactionResult(ctx.req, ctx.res, outcome, {
        mergeWithLastSubmission: true,
      });
      writes(unit.deferred);
      if (await unit.writeDeferred()) returnTo = path;
      return false;
    }),
  );
  return returnTo;
}

export function finishWithRefusal(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
): Promise<string> {
  return finishInteraction(ctx, interaction, async (trx) => {
    const { situation, sessionUser, app } = interaction;
    if (situation.prompt === 'consent' && sessionUser) {
      const { id, tenantId } = sessionUser;
      const actor = { ...anonymousActor(ctx, tenantId), type: 'user' as const, id };
      await recordEvent(trx, actor, 'consent.denied', {
        target: { type: 'client', id: app.id },
        data: { user_id: id },
      });
    }
    return { error: 'access_denied', error_description: 'the person did not continue' };
  });
}
