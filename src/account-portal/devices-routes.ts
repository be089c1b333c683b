import { z } from 'zod';
import { PORTAL_CLIENT_ID } from '../oidc/extensions/portal-client.ts';
import type { TenantDirectory } from '../oidc/tenant-directory.ts';
import type { UserSession } from '../sessions/session.ts';
import { seeOther } from '../http/see-other.ts';
import type { SectionDeps } from './portal-routes.ts';
import { doneOf } from './done.ts';

/** Where the person is signed in, and signing out from here. */
export function devicesRoutes({ router, doors, show, sessions }: SectionDeps): void {
  router.get(
    '/devices',
    doors.page(async (ctx, portal) => {
      const { actor, user, sessionUid } = portal;
      const [open, count] = await Promise.all([
        sessions.list(actor, user.id, sessionUid),
        sessions.count(actor, user.id),
      ]);
      const names = await namesOfApps(ctx.state.tenantProvider.context.directory, open);
      const present = ({ id, device, ip, lastSeenAt, createdAt, clientIds }: UserSession) => ({
        id,
        device,
        ip: ip ?? '',
        lastSeenAt,
        createdAt,
        apps: clientIds.flatMap((clientId) => names.get(clientId) ?? []).join(', '),
      });
      show(ctx, portal, {
        view: 'devices',
        section: 'devices',
        locals: {
          current: open.filter(({ isCurrent }) => isCurrent).map(present)[0] ?? null,
          others: open.filter(({ isCurrent }) => !isCurrent).map(present),
          unlisted: Math.max(0, count - open.length),
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

/** Of those that can still be used, the portal itself not among them. */
async function namesOfApps(
  directory: Pick<TenantDirectory, 'client'>,
  sessions: readonly UserSession[],
): Promise<ReadonlyMap<string, string>> {
  const ids = new Set(sessions.flatMap(({ clientIds }) => clientIds));
  ids.delete(PORTAL_CLIENT_ID);
  const clients = await Promise.all([...ids].map((id) => directory.client(id)));
  return new Map(clients.flatMap((client) => (client ? [[client.clientId, client.name]] : [])));
}
