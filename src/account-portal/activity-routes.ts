import { userEvents } from '../events/user-events.ts';
import { isId } from '../lib/ids.ts';
import { presentEvent } from './present-event.ts';
import type { SectionDeps } from './portal-routes.ts';

const PAGE = 25;

/** What happened in the account, newest first. */
export function activityRoutes({ router, doors, show, db }: SectionDeps): void {
  router.get(
    '/activity',
    doors.page(async (ctx, portal) => {
      const { before } = ctx.query;
      const after = typeof before === 'string' && isId(before) ? before : undefined;
      const events = await userEvents(db, portal.actor.tenantId).list(portal.user.id, {
        before: after,
        limit: PAGE + 1,
      });
      const translator = ctx.state.language.translator();
      const shown = events.slice(0, PAGE);
      show(ctx, portal, {
        view: 'activity',
        section: 'activity',
        locals: {
          events: shown.map((event) => presentEvent(event, translator)),
          isFirstPage: after === undefined,
          olderHref: events.length > PAGE ? `${portal.basePath}/activity?before=${shown.at(-1)?.id}` : null,
        },
      });
    }),
  );
}
