import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { successorWithinGrace } from '../adapter/family-adapter.ts';
import { consumeModel, findFamily } from '../adapter/model-store.ts';
import { guarded, StoreUnavailable } from '../adapter/store-errors.ts';
import { writeTokens } from '../adapter/token-writes.ts';
import type { UnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

/**
 * The end of a token request, before its answer leaves: what it gives is stored and what it used is used
 * up, or somebody else was first and the answer is replaced by what the second one gets, or it has expired.
 */
export async function settleTokens(
  provider: Provider,
  context: TenantContext,
  unit: UnitOfWork,
  ctx: KoaContextWithOIDC,
): Promise<void> {
  const { pending } = unit;
  const { consumed } = pending;
  if (!consumed && pending.saves.length === 0) return;
  await guarded(async () => {
    const db = await unit.reader();
    // Nobody was refused: the client comes back with what it has.
    if (ctx.status >= 500) return;
    if (ctx.status >= 400) {
      // A code is used up by an attempt that fails behind its proof; a refresh token is not, or a wrong
      // parameter would cost the client its access.
      if (consumed?.model === 'AuthorizationCode') {
        await consumeModel(db, context.tenant.id, consumed.model, consumed.id);
      }
      return;
    }
    if (await writeTokens(db, context.tenant.id, pending)) return;
    if (await isRepeat(context, unit)) return;
    if (!(await hasOnlyExpired(context, unit))) await endFamily(provider, unit, ctx);
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: 'grant request is invalid' };
  });
}

/** A code that nobody used, but which is older than this server thinks: no reason to end anything. */
async function hasOnlyExpired({ tenant }: TenantContext, unit: UnitOfWork): Promise<boolean> {
  const { consumed } = unit.pending;
  if (consumed?.model !== 'AuthorizationCode') return false;
  const row = await findFamily(await unit.reader(), tenant.id, consumed.model, consumed.id, {
    withAccount: false,
  });
  return row?.consumed_at === null;
}

/**
 * Whether the other one was the same client with the same refresh token, a moment ago: then the answer stands.
 * @throws StoreUnavailable where the other server derived another successor, as its current key is another one: this
 *   answer names a token that does not exist, and the client gets the one that does when it comes back
 */
async function isRepeat(context: TenantContext, unit: UnitOfWork): Promise<boolean> {
  const { consumed, saves } = unit.pending;
  if (consumed?.model !== 'RefreshToken') return false;
  const { tenant, keyRing, settings } = context;
  const db = await unit.reader();
  const row = await findFamily(db, tenant.id, consumed.model, consumed.id);
  const successor =
    row &&
    (await successorWithinGrace(unit, consumed.id, row, { tenantId: tenant.id, keyRing, ...settings }));
  if (successor === undefined) return false;
  if (!saves.some(({ id }) => id === successor)) {
    throw new StoreUnavailable(new Error('the refresh token was rotated under another key a moment ago'));
  }

  const others = saves.filter(({ id }) => id !== successor);
  return others.length === 0 || writeTokens(db, tenant.id, { consumed: undefined, saves: others });
}

/** Used by somebody else meanwhile: a code or refresh token that two hold ends its family (RFC 9700 §4.14). */
async function endFamily(provider: Provider, unit: UnitOfWork, ctx: KoaContextWithOIDC): Promise<void> {
  const { consumed } = unit.pending;
  if (!consumed) return;
  unit.reused = { grantId: consumed.grantId, clientId: ctx.oidc.client?.clientId ?? '' };
  await provider.Grant.adapter.destroy(consumed.grantId);
}
