import { z } from 'zod';
import type { UserSession } from '../sessions/session.ts';
import { seeOther } from './portal-handlers.ts';
import type { SectionDeps } from './portal-routes.ts';
import { doneOf } from './done.ts';

/** Where the person is signed in, and signing out from here. */
export function devicesRoutes({ router, doors, show, sessions }: SectionDeps): void {
  router.get(
    '/devices',
    doors.page(async (ctx, portal) => {
      const open = await sessions.list(portal.actor, portal.user.id, portal.sessionUid);
      show(ctx, portal, {
        view: 'devices',
        section: 'devices',
        locals: {
          current: open.filter(({ isCurrent }) => isCurrent).map(present)[0] ?? null,
          others: open.filter(({ isCurrent }) => !isCurrent).map(present),
          done: doneOf(ctx, ['one', 'others']),
        },
      });
    }),
  );

  // Ending others makes nobody more powerful, so it asks for no other proof: whoever sees a stranger here
  // must be able to act at once.
  router.post(
    '/devices/sign-out',
    doors.form(
      { fields: { session: z.string().max(64) }, page: '/devices' },
      async (ctx, portal, { session }) => {
        await sessions.revoke(portal.actor, portal.user.id, session);
        seeOther(ctx, `${portal.basePath}/devices?done=one`);
      },
    ),
  );

  router.post(
    '/devices/sign-out-others',
    doors.form({ fields: {}, page: '/devices' }, async (ctx, portal) => {
      await sessions.revokeOthers(portal.actor, portal.user.id, portal.sessionUid);
      seeOther(ctx, `${portal.basePath}/devices?done=others`);
    }),
  );
}

function present({ id, device, ip, lastSeenAt, createdAt }: UserSession) {
  return { id, device, ip: ip ?? '', lastSeenAt, createdAt };
}
