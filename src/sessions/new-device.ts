import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import type { User } from '../users/user.ts';
import { sessionStore } from './session-store.ts';

/** Tells people of a sign-in in a browser that was never used for their account. */
export type NoticeNewDevice = ReturnType<typeof createNewDeviceNotice>;

/** @param enqueueMail undefined where no mail can be sent */
export function createNewDeviceNotice({ db, enqueueMail }: { db: Db; enqueueMail: EnqueueMail | undefined }) {
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
    if (!(await sessionStore(db, user.tenantId).hasAny(user.id))) return;
    await db.transaction(async (trx) => {
      await recordEvent(trx, actor, 'auth.suspicious_activity', {
        target: { type: 'user', id: user.id },
        reason: 'new_device',
      });
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
}
