import { randomBytes } from 'node:crypto';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { growStale } from '../support/stale-session.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page } from '../support/user-agent.ts';

/** Somebody with an account, at the portal in a browser without a screen. */

export async function visitorOf(
  app: Pick<TestApp, 'services' | 'db'>,
  tenant: TestTenant,
  { agent = createUserAgent(), emailVerified = true, claims = {} } = {},
) {
  const email = `${randomBytes(4).toString('hex')}@example.com`;
  const user = await app.services.users.create(tenant.actor, {
    email,
    password: GOOD_PASSWORD,
    emailVerified,
    claims,
  });
  const base = `${tenant.issuer}/account`;

  const visitor = {
    agent,
    user,
    email,
    base,
    follow: (page: Page) => agent.follow(page, tenant.issuer),
    /** Opens a page of the portal, signing in where that is asked for. */
    async open(path = '', password = GOOD_PASSWORD): Promise<Page> {
      return visitor.answer(await visitor.follow(await agent.get(`${base}${path}`)), password);
    },
    /** Goes on from a page of the sign-in, if it is one. */
    async answer(page: Page, password = GOOD_PASSWORD): Promise<Page> {
      let current = page;
      if (/action="[^"]*\/accounts"/.test(current.body))
        current = await visitor.follow(await agent.submit(current, '/accounts'));
      if (current.body.includes('/identifier"') && !current.body.includes('name="password"'))
        current = await visitor.follow(await agent.submit(current, '/identifier', { username: email }));
      if (/action="[^"]*\/interaction\/[^"]*\/password"/.test(current.body))
        current = await visitor.follow(await agent.submit(current, '/password', { password }));
      return current;
    },
    /** Submits a form of the page and shows where that leads. */
    async submit(page: Page, action: string, fields: Record<string, string> = {}): Promise<Page> {
      return visitor.follow(await agent.submit(page, action, fields));
    },
    growStale: () => growStale(app.db, user.id),
  };
  return visitor;
}
