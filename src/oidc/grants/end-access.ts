import { recordEvent } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import { endSessions } from '../adapter/revoke-access.ts';
import { sessionUidOfGrant } from '../adapter/session-of-grant.ts';
import { guarded } from '../adapter/store-errors.ts';
import { inUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantProvider } from '../provider-registry.ts';

/**
 * Signs an app out: its grant ends with every token issued from it, and so does the session the grant came
 * from. Doing it again changes nothing.
 * @param actor the user whose grant it is
 */
export async function endAccess(
  { provider, context }: TenantProvider,
  actor: Actor,
  { grantId, userId }: { grantId: string; userId: string },
): Promise<void> {
  const { db, tenant } = context;
  await guarded(() =>
    inUnitOfWork({ db, kind: 'write', actor: () => actor }, async (unit) => {
      const trx = await unit.transaction();
      const uid = await sessionUidOfGrant(trx, tenant.id, { grantId, userId });
      const ended =
        uid === undefined
          ? []
          : await endSessions(trx, tenant.id, { userId, uids: [uid], reason: 'signed_out' });
      // Also one that was granted to outlive its session: the app itself gives it back.
      await provider.Grant.adapter.destroy(grantId);
      if (ended.length > 0) {
        await recordEvent(trx, actor, 'user.logout', {
          target: { type: 'user', id: userId },
          data: { session: uid },
        });
      }
      return true;
    }),
  );
}

/** The engine's uid of the live session that a grant came from. */
export function sessionUidOf(
  { context: { db, tenant } }: TenantProvider,
  grant: { grantId: string; userId: string },
): Promise<string | undefined> {
  return guarded(() => sessionUidOfGrant(db, tenant.id, grant));
}
