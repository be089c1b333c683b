import Router from '@koa/router';
import type { RequestState } from '../http/request-state.ts';
import type { Views } from '../http/views.ts';
import type { PageWriter } from '../i18n/request-language.ts';
import type { createInbox } from './inbox-store.ts';

/**
 * `/dev/mail`: what would have been sent, where no mail server is configured. In development only: whoever
 * reads it reads every code.
 */
export function inboxRoutes({
  inbox,
  views,
  language,
}: {
  inbox: ReturnType<typeof createInbox>;
  views: Views;
  /** For developers, so it need not be the reader's. */
  language: PageWriter;
}) {
  const router = new Router<RequestState>({ prefix: '/dev/mail' });

  router.get('/', async (ctx) => {
    const mails = await inbox.list();
    ctx.type = 'html';
    ctx.body = views.render(
      'inbox/list',
      {
        mails: mails.map(({ id, recipient, subject, sentAt }) => ({
          href: `/dev/mail/${id}`,
          recipient,
          subject,
          at: sentAt.toISOString(),
        })),
      },
      language,
    );
  });

  router.get('/:id', async (ctx) => {
    const mail = await inbox.find(ctx.params['id'] ?? '');
    if (!mail) return ctx.throw(404);
    ctx.type = 'html';
    ctx.body = views.render(
      'inbox/mail',
      {
        recipient: mail.recipient,
        subject: mail.subject,
        at: mail.sentAt.toISOString(),
        text: mail.text,
        // The page's policy lets nothing run; in here only the links are wanted.
        links: [...new Set(mail.text.match(/https?:\/\/\S+/g))],
        htmlHref: `/dev/mail/${mail.id}/html`,
        listHref: '/dev/mail',
      },
      language,
    );
  });

  router.get('/:id/html', async (ctx) => {
    const mail = await inbox.find(ctx.params['id'] ?? '');
    if (!mail) return ctx.throw(404);
    ctx.set(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    ctx.type = 'html';
    ctx.body = mail.html;
  });

  return router;
}
