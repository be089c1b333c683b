import { userEvents } from '../events/user-events.ts';
import { apiIdentifier } from '../oidc/api-resource.ts';
import { listConnectedApps } from './connected-apps.ts';
import type { SectionDeps } from './portal-routes.ts';

/** How far back a new device is worth an alert. */
const ALERT_MS = 7 * 86_400_000;
const EVENTS_LOOKED_AT = 50;

/** What needs attention, and the way to everything else. */
export function homeRoutes(deps: SectionDeps): void {
  const { router, doors, show, db, sessions, now, deletions, emailVerification } = deps;

  router.get(
    '/',
    doors.page(async (ctx, portal) => {
      const { actor, user, profile } = portal;
      const { issuer } = ctx.state.tenantProvider.context;
      // To be here is to have signed in since: everything had ended.
      const isKept = await deletions.callOff(actor);
      const [sessionCount, apps, events] = await Promise.all([
        sessions.count(actor, user.id),
        listConnectedApps(db, actor.tenantId, user.id, { ownApi: apiIdentifier(issuer) }),
        userEvents(db, actor.tenantId).list(user.id, { limit: EVENTS_LOOKED_AT }),
      ]);
      const newDevice = events.find(
        ({ type, reason, at }) =>
          type === 'auth.suspicious_activity' &&
          reason === 'new_device' &&
          now().getTime() - at.getTime() < ALERT_MS,
      );
      show(ctx, portal, {
        view: 'home',
        section: 'home',
        locals: {
          name: profile.claims.name ?? profile.claims.given_name ?? user.email,
          isEmailVerified: user.emailVerifiedAt !== null,
          canMail: emailVerification !== undefined,
          isKept,
          newDeviceAt: newDevice?.at ?? null,
          sessionCount,
          appCount: apps.length,
        },
      });
    }),
  );
}
