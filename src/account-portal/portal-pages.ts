import type { Views } from '../http/views.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import type { Portal } from './portal.ts';

/** The pages of the portal by their place in its navigation; their words are in `views/account`. */
export type PortalSection = 'home' | 'profile' | 'security' | 'devices' | 'apps' | 'activity' | 'data';

const SECTIONS: readonly { section: PortalSection; path: string }[] = [
  { section: 'home', path: '' },
  { section: 'profile', path: '/profile' },
  { section: 'security', path: '/security' },
  { section: 'devices', path: '/devices' },
  { section: 'apps', path: '/apps' },
  { section: 'activity', path: '/activity' },
  { section: 'data', path: '/data' },
];

export type ShowPage = (
  ctx: TenantRequestContext,
  portal: Portal,
  page: { view: string; section: PortalSection; locals?: object; status?: number },
) => void;

export function createPortalPages({ views, now }: { views: Views; now: Clock }): ShowPage {
  return (ctx, portal, { view, section, locals = {}, status = 200 }) => {
    const { basePath, user, tenant } = portal;
    const language = ctx.state.language.translator();
    ctx.status = status;
    ctx.type = 'html';
    ctx.body = views.render(
      `account/${view}`,
      {
        ...locals,
        base: basePath,
        csrf: portal.csrf(),
        email: user.email,
        // Times are told as how long ago they were: nobody knows the reader's time zone.
        ago: (date: Date) => language.timeAgo(date, now()),
        frame: {
          tenant: tenant.name,
          email: user.email,
          signOutHref: `${ctx.state.tenantProvider.context.mountPath}/logout`,
          links: SECTIONS.map(({ section: name, path }) => ({
            name,
            href: `${basePath}${path}`,
            isCurrent: name === section,
          })),
        },
      },
      ctx.state.language,
    );
  };
}
