import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import type { User } from '../users/user.ts';
import { isImpossibleTravel } from './impossible-travel.ts';
import type { LocateAddress } from './locations.ts';
import { sessionStore } from './session-store.ts';

/** Tells people of a sign-in in a browser that was never used for their account. */
export type NoticeNewDevice = ReturnType<typeof createNewDeviceNotice>;

/**
 * @param deps.enqueueMail undefined where no mail can be sent
 * @param deps.locate undefined where nothing tells where an address is
 */
export function createNewDeviceNotice(deps: {
  db: Db;
  enqueueMail: EnqueueMail | undefined;
  locate: LocateAddress | undefined;
}) {
  const { db, enqueueMail, locate } = deps;

  /**
   * Call it before the sign-in is completed: none may succeed without its notice. The first sign-in of an
   * account is on a new device, but nobody needs to be told.
   * @param notice.occasion the sign-in, for which there is one mail however often it is tried
   * @param notice.devicesUrl where the person sees and ends sessions
   */
  return async (
    actor: Actor,
    user: User,
    { occasion, devicesUrl, locale }: { occasion: string; devicesUrl: string; locale: string },
  ): Promise<void> => {
    const last = await sessionStore(db, user.tenantId).lastSeen(user.id);
    if (!last) return;
    const reasons = hasTravelledTooFast(last, actor) ? ['new_device', 'impossible_travel'] : ['new_device'];
    await db.transaction(async (trx) => {
      for (const reason of reasons) {
        await recordEvent(trx, actor, 'auth.suspicious_activity', {
          target: { type: 'user', id: user.id },
          reason,
        });
      }
      await enqueueMail?.(trx, {
        tenantId: user.tenantId,
        recipient: user.email,
        template: 'new_device',
        locale,
        data: { url: devicesUrl },
        idempotencyKey: `new-device:${occasion}`,
        isRequested: false,
      });
    });
  };

  function hasTravelledTooFast(last: { ip: string | null; secondsAgo: number }, { ip }: Actor): boolean {
    const from = last.ip === null ? undefined : locate?.(last.ip);
    const to = ip === undefined ? undefined : locate?.(ip);
    return from !== undefined && to !== undefined && isImpossibleTravel(from, to, last.secondsAgo);
  }
}
