import { z } from 'zod';
import { describeGroup } from '../interactions/scope-texts.ts';
import { apiIdentifier } from '../oidc/api-resource.ts';
import { disconnectApp, listConnectedApps } from './connected-apps.ts';
import { doneOf } from './done.ts';
import { seeOther } from '../http/see-other.ts';
import type { SectionDeps } from './portal-routes.ts';

/** Which apps have access to the account, and taking it back. */
export function appsRoutes({ router, doors, show, db }: SectionDeps): void {
  router.get(
    '/apps',
    doors.page(async (ctx, portal) => {
      const { issuer } = ctx.state.tenantProvider.context;
      const apps = await listConnectedApps(db, portal.actor.tenantId, portal.user.id, {
        ownApi: apiIdentifier(issuer),
      });
      const translator = ctx.state.language.translator();
      show(ctx, portal, {
        view: 'apps',
        section: 'apps',
        locals: {
          apps: apps.map(({ clientId, name, host, since, groups }) => ({
            clientId,
            name,
            host,
            since,
            groups: groups.map((group) => describeGroup(group, translator)),
          })),
          done: doneOf(ctx, ['removed']),
        },
      });
    }),
  );

  router.post(
    '/apps/remove',
    doors.form(
      { fields: { client: z.string().max(255) }, page: '/apps' },
      async (ctx, portal, { client }) => {
        await disconnectApp(db, portal.actor, client);
        seeOther(ctx, `${portal.basePath}/apps?done=removed`);
      },
    ),
  );
}
