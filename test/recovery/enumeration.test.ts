import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import pg from 'pg';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createUserAgent } from '../support/user-agent.ts';

const ROUNDS = 3;
const EACH = 15;
const GAP_MS = 5;

describe('who asks for a mail', function () {
  this.timeout(120_000);
  let own: OwnDatabase;
  let sink: SmtpSink;
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;

  before(async () => {
    own = await migratedDatabase();
    sink = await startSmtpSink();
    app = await startTestApp({ db: own.db, env: { SMTP_URL: sink.url } });
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });

  after(async () => {
    await app.close();
    await sink.close();
    await own.drop();
  });

  const newAddress = () => `${randomBytes(4).toString('hex')}@example.com`;

  async function known(): Promise<string> {
    const email = newAddress();
    await app.services.users.create(tenant.actor, { email });
    return email;
  }

  async function disabled(): Promise<string> {
    const email = newAddress();
    const { id } = await app.services.users.create(tenant.actor, { email });
    await app.services.users.disable(tenant.actor, id);
    return email;
  }

  /** What the driver sends to the database meanwhile. */
  async function statementsFor(email: string): Promise<string[]> {
    const statements: string[] = [];
    const { prototype } = pg.Client;
    const query: (...args: unknown[]) => unknown = Reflect.get(prototype, 'query');
    Reflect.set(prototype, 'query', function record(this: object, ...args: unknown[]): unknown {
      const [config] = args;
      statements.push(typeof config === 'string' ? config : String(Object(config).text));
      return query.apply(this, args);
    });
    try {
      const request = { email, binding: newAddress(), locale: 'en' };
      await app.services.passwordReset.start({ ...tenant.actor, type: 'anonymous' }, request);
    } finally {
      Reflect.set(prototype, 'query', query);
    }
    return statements;
  }

  /** Everything a stranger sees and measures who asks for an address. */
  async function ask(screen: 'forgot' | 'sign-up' | 'email-code', email: string) {
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);
    await agent.submit(first, '/identifier', { username: email });
    const page = await agent.get(`${first.url}/${screen}`);
    // What is still being delivered must not count.
    await app.services.mail.delivery.deliverDue();
    const startedAt = performance.now();
    const answer = await agent.submit(page, `/${screen}`, screen === 'email-code' ? {} : { email });
    const milliseconds = performance.now() - startedAt;
    const shown = await agent.follow(answer, tenant.issuer);
    const wrong = await agent.submit(shown, '/code', { code: '000000' });
    const told = await agent.follow(wrong, tenant.issuer);

    const uid = new URL(first.url).pathname.split('/').at(-1) ?? '';
    const plain = (text: string) =>
      text
        .replaceAll(uid, '<uid>')
        .replaceAll(email, '<email>')
        .replaceAll(/name="csrf" value="[^"]*"/g, '')
        .replaceAll(/data-resend-in="\d+"|in \d+ seconds?/g, '');
    const seen = [answer, shown, wrong, told].map(({ status, body, location = '' }) => ({
      status,
      body: plain(body),
      location: plain(location),
    }));
    return { seen, milliseconds };
  }

  for (const screen of ['forgot', 'sign-up', 'email-code'] as const) {
    it(`sees the same whether there is an account or not (${screen})`, async () => {
      const [one, none, closed] = await Promise.all([
        ask(screen, await known()),
        ask(screen, newAddress()),
        ask(screen, await disabled()),
      ]);

      assert.deepEqual(
        one.seen.map(({ status }) => status),
        [303, 200, 303, 200],
      );
      assert.ok(one.seen[1]?.body.includes('Check your email'));
      assert.deepEqual(none.seen, one.seen);
      assert.deepEqual(closed.seen, one.seen);
    });
  }

  it('waits equally long', async () => {
    const gaps: number[] = [];
    // Other programs of the machine disturb a round, never in favour of a gap that is really there in all of them.
    for (let round = 0; round < ROUNDS && !gaps.some((gap) => gap < GAP_MS); round += 1) {
      const times = { known: [] as number[], unknown: [] as number[] };
      const left = [...Array(EACH).fill('known'), ...Array(EACH).fill('unknown')] as ('known' | 'unknown')[];
      while (left.length > 0) {
        const [kind = 'known'] = left.splice(randomInt(left.length), 1);
        const email = kind === 'known' ? await known() : newAddress();
        times[kind].push((await ask('forgot', email)).milliseconds);
      }
      gaps.push(Math.abs(median(times.known) - median(times.unknown)));
    }

    assert.ok(
      gaps.some((gap) => gap < GAP_MS),
      `gaps of the medians: ${gaps.map((gap) => gap.toFixed(1)).join(', ')} ms`,
    );
  });

  it('gets no page out of order, nor a step of one way in another', async () => {
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);
    const { csrf = '' } = /name="csrf" value="(?<csrf>[^"]*)"/.exec(first.body)?.groups ?? {};

    for (const path of ['code', 'new-password', 'sign-up-profile']) {
      const page = await agent.get(`${first.url}/${path}`);
      assert.deepEqual([path, page.status, page.location], [path, 303, first.url]);
    }
    const skipped: [string, Record<string, string>][] = [
      ['code', { code: '123456' }],
      ['code/resend', {}],
      ['link', { token: 'x' }],
      ['new-password', { password: 'seven wandering lighthouses hum' }],
      ['sign-up-profile', { password: 'seven wandering lighthouses hum', name: 'Eve' }],
    ];
    for (const [path, fields] of skipped) {
      const answer = await agent.post(`${first.url}/${path}`, { csrf, ...fields });
      assert.deepEqual([path, answer.status], [path, 409]);
      const forged = await agent.post(`${first.url}/${path}`, fields);
      assert.deepEqual([path, forged.status], [path, 403]);
    }
  });

  it('cannot go on in another browser', async () => {
    const email = await known();
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);
    const sent = await agent.submit(await agent.get(`${first.url}/forgot`), '/forgot', { email });
    const page = await agent.follow(sent, tenant.issuer);

    const thief = createUserAgent();
    const answer = await thief.submit(page, '/code', { code: '123456' });
    const tries = await own.db('one_time_tokens').where({ address: email }).first('tries');

    // As for any sign-in that is not this browser's: it begins anew.
    assert.equal(answer.status, 303);
    assert.match(answer.location ?? '', /\/authorize\?/);
    assert.equal(tries.tries, 0);
  });

  it('causes the same statements', async () => {
    const email = await known();
    await app.services.mail.delivery.stop();

    const [one, none] = [await statementsFor(email), await statementsFor(newAddress())];

    assert.ok(one.length > 5);
    assert.deepEqual(none, one);
  });
});

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
