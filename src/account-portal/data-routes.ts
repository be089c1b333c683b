import { Readable } from 'node:stream';
import { z } from 'zod';
import { equalSecrets } from '../lib/ids.ts';
import { defineErrors } from '../lib/errors.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { parseEmail } from '../users/email-address.ts';
import { doneOf } from './done.ts';
import type { Portal } from './portal.ts';
import { seeOther } from '../http/see-other.ts';
import type { SectionDeps } from './portal-routes.ts';

const fail = defineErrors('export', {
  not_found: { status: 404, message: 'There is no such copy of your data, or it is too old.' },
});

/** A copy of what is stored about oneself, and the end of the account. */
export function dataRoutes({ router, doors, show, exports, deletions }: SectionDeps): void {
  router.get(
    '/data',
    doors.page(async (ctx, portal) => {
      const latest = await exports.latest(portal.actor);
      show(ctx, portal, {
        view: 'data',
        section: 'data',
        locals: { latest: latest ?? null, done: doneOf(ctx, ['requested']), graceDays: deletions.graceDays },
      });
    }),
  );

  router.post(
    '/data/export',
    doors.form({ fields: {}, page: '/data', isSensitive: true }, async (ctx, portal) => {
      const { locale } = ctx.state.language.translator();
      await exports.request(portal.actor, { locale });
      seeOther(ctx, `${portal.basePath}/data?done=requested`);
    }),
  );

  router.get(
    '/data/export/:id',
    doors.page(
      async (ctx, portal) => {
        const content = await exports.read(portal.actor, String(ctx['params'].id));
        if (content === undefined) throw fail('not_found');
        ctx.type = 'application/json';
        ctx.set('Content-Disposition', 'attachment; filename="my-data.json"');
        ctx.body = Readable.from(content);
      },
      { isSensitive: true },
    ),
  );

  router.get(
    '/data/delete',
    doors.page((ctx, portal) => showDelete(ctx, portal, false), { isSensitive: true }),
  );

  router.post(
    '/data/delete',
    doors.form(
      { fields: { email: z.string().default('') }, page: '/data/delete', isSensitive: true },
      async (ctx, portal, { email }) => {
        const typed = parseEmail(email)?.toLowerCase() ?? '';
        if (!equalSecrets(typed, portal.user.email.toLowerCase())) return showDelete(ctx, portal, true);
        const { locale } = ctx.state.language.translator();
        await deletions.request(portal.actor, { email: portal.user.email, locale });
        seeOther(ctx, `${portal.basePath}/deleted`);
      },
    ),
  );

  function showDelete(ctx: TenantRequestContext, portal: Portal, isMismatch: boolean): void {
    show(ctx, portal, {
      view: 'delete',
      section: 'data',
      status: isMismatch ? 422 : 200,
      locals: { isMismatch, graceDays: deletions.graceDays },
    });
  }
}
