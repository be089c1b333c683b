import Router from '@koa/router';
import { z } from 'zod';
import type { ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { pageOf } from '../../http/page-cursors.ts';
import type { PageCursors } from '../../http/page-cursors.ts';
import { sessionUidOf } from '../../oidc/grants/end-access.ts';
import { tenantProviderOf } from '../../oidc/tenant-state.ts';
import type { ListedSession, SessionService } from '../../sessions/session-service.ts';

/** Where somebody is signed in, and the end of that. */

const tag = 'Sign-in';
const time = z.string().meta({ format: 'date-time' });
const sessionSchema = z
  .object({
    id: z.uuid(),
    is_current: z.boolean().meta({ description: 'The one this request is made from.' }),
    device: z.object({ browser: z.string().nullable(), os: z.string().nullable(), kind: z.string() }),
    ip: z.string().nullable(),
    created_at: time,
    last_seen_at: time.meta({ description: 'At most a few minutes old.' }),
    authenticated_at: time,
    methods: z.array(z.string()).meta({ description: 'How the person proved who they are (RFC 8176).' }),
    client_ids: z.array(z.string()).meta({ description: 'Apps that were signed in to with it.' }),
    ends_at: time.meta({ description: 'If nobody uses it before.' }),
  })
  .meta({ id: 'Session' });

const EXAMPLE_SESSION = {
  id: '01938f6b-7a1c-7d5e-9b3a-2f4c6d8e0a1e',
  is_current: true,
  device: { browser: 'Firefox', os: 'Linux', kind: 'desktop' },
  ip: '192.0.2.7',
  created_at: '2026-11-25T10:00:00.000Z',
  last_seen_at: '2026-11-25T10:05:00.000Z',
  authenticated_at: '2026-11-25T10:00:00.000Z',
  methods: ['pwd'],
  client_ids: ['shop'],
  ends_at: '2026-12-09T10:05:00.000Z',
};

export function ledgerRoutes({
  userSessions,
  cursors,
}: {
  userSessions: SessionService;
  cursors: PageCursors;
}) {
  const router = new Router<ApiRequestState>({ prefix: '/sessions' });

  router.get(
    '/',
    endpoint({
      id: 'listSessions',
      summary: 'List one’s sessions',
      description: 'The one made last first.',
      tag,
      permission: 'account:read',
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(500).optional().meta({ description: '`next_cursor` of the page before.' }),
      }),
      reply: {
        status: 200,
        description: 'A page of those that have not ended.',
        schema: z.object({ sessions: z.array(sessionSchema), next_cursor: z.string().nullable() }),
      },
      errors: ['http.invalid_cursor'],
      example: { query: { limit: 1 }, reply: { sessions: [EXAMPLE_SESSION], next_cursor: null } },
      async handle({ ctx, actor, query }) {
        const { grantId, id: userId } = actor;
        const uid = grantId && (await sessionUidOf(tenantProviderOf(ctx), { grantId, userId }));
        const list = `sessions ${actor.tenantId} ${userId}`;
        const after = query.cursor === undefined ? undefined : cursors.read(list, query.cursor);
        const rows = await userSessions.page(actor, userId, { after, limit: query.limit + 1 }, uid);
        const page = pageOf(rows, query.limit, (last) => cursors.write(list, last.id));
        return { body: { sessions: page.items.map(present), next_cursor: page.nextCursor } };
      },
    }),
  );

  router.delete(
    '/:id',
    endpoint({
      id: 'endSession',
      summary: 'End one of one’s sessions',
      description: 'With all tokens that were issued from it, except for those granted offline access.',
      tag,
      permission: 'account:write',
      params: z.object({ id: z.uuid() }),
      reply: { status: 204, description: 'It has ended.' },
      errors: ['session.not_found'],
      example: { params: { id: EXAMPLE_SESSION.id } },
      async handle({ actor, params: { id } }) {
        await userSessions.revoke(actor, actor.id, id);
        return {};
      },
    }),
  );

  return router;
}

function present(session: ListedSession) {
  const { browser, os, kind } = session.device;
  return {
    id: session.id,
    is_current: session.isCurrent,
    device: { browser, os, kind },
    ip: session.ip,
    created_at: session.createdAt.toISOString(),
    last_seen_at: session.lastSeenAt.toISOString(),
    authenticated_at: session.authenticatedAt.toISOString(),
    methods: [...session.methods],
    client_ids: [...session.clientIds],
    ends_at: session.endsAt.toISOString(),
  };
}
