import assert from 'node:assert/strict';
import { createApiWorld } from '../management-api/api-world.ts';
import type { ApiWorld } from '../management-api/api-world.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { linkIn, startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createUserAgent, formsOf } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

const LIMIT = 10;
const GUESSES = 200;

/** One way to try a secret of the account. */
type Way = (attempt: { base: string; number: number; headers: Record<string, string> }) => Promise<{
  status: number;
}>;

describe('guessing at one account in every way at once, over two server processes', function () {
  this.timeout(120_000);
  let sink: SmtpSink;
  let app: TestApp;
  let replicas: Replica[];
  let world: ApiWorld;
  let rp: RelyingParty;

  before(async () => {
    sink = await startSmtpSink();
    app = await startTestApp({ env: { SMTP_URL: sink.url } });
    replicas = await startReplicas(2, app.url, {
      GATEHOUSE_RATE_LIMITS: 'on',
      // So many that each process lets in all of its guesses at once.
      GATEHOUSE_PASSWORD_HASHERS: '4',
      SMTP_URL: sink.url,
      TRUST_PROXY: '127.0.0.0/8',
    });
  });
  beforeEach(async () => {
    world = await createApiWorld(app);
    rp = await createRelyingParty(app, world);
  });
  after(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await app.close();
    await sink.close();
  });

  const spellings = () => {
    const { email } = rp.user;
    return [email, email.toUpperCase(), email.replace('example', 'EXAMPLE'), `  ${email} `];
  };

  async function start(agent: UserAgent, params: Record<string, string> = {}): Promise<Page> {
    return agent.follow(await agent.get(rp.authorizationUrl(params)), world.issuer);
  }

  /** Posts a form of the page, with one field of the guesser's. */
  function formWay(agent: UserAgent, page: Page, actionEnd: string, field: (number: number) => object): Way {
    const form = formsOf(page.body).find(({ action }) => action.endsWith(actionEnd));
    assert.ok(form, `no form to ${actionEnd} on ${page.url}:\n${page.body.slice(0, 1500)}`);
    return ({ base, number, headers }) =>
      agent.post(`${base}${form.action}`, { ...form.hidden, ...field(number) }, headers);
  }

  const password = (number: number) => ({ password: `a guess, number ${number}` });
  const code = (number: number) => ({ code: String(number).padStart(6, '0') });

  async function passwordPage(email: string): Promise<Way> {
    const agent = createUserAgent();
    const first = await start(agent);
    const sent = await agent.submit(first, '/identifier', { username: email });
    return formWay(agent, await agent.follow(sent, world.issuer), '/password', password);
  }

  async function codePage(path: 'email-code' | 'forgot', email: string): Promise<Way> {
    const agent = createUserAgent();
    const first = await start(agent);
    await agent.submit(first, '/identifier', { username: email });
    const sent = await agent.submit(
      await agent.get(`${first.url}/${path}`),
      `/${path}`,
      path === 'forgot' ? { email } : {},
    );
    return formWay(agent, await agent.follow(sent, world.issuer), '/code', code);
  }

  const api =
    (path: string, body: (number: number) => object): Way =>
    ({ base, number, headers }) =>
      world.call('POST', path, {
        baseUrl: `${base}${new URL(world.issuer).pathname}`,
        body: body(number),
        headers,
      });

  async function strangersWays(): Promise<Way[]> {
    const [one = '', two = '', three = '', four = ''] = spellings();
    const { body: reset } = await world.call('POST', '/auth/forgot-password', { body: { email: two } });
    const { request_token } = reset;
    return [
      await passwordPage(one),
      await passwordPage(two),
      await codePage('email-code', three),
      await codePage('forgot', four),
      api('/auth/login', (number) => ({ email: three, ...password(number) })),
      api('/auth/login', (number) => ({ email: two, ...password(number) })),
      api('/auth/reset-password', (number) => ({ request_token, ...code(number), ...password(number) })),
    ];
  }

  /** Whoever has got hold of a browser that its owner is signed in with. */
  async function thiefsWays(): Promise<Way[]> {
    const agent = createUserAgent();
    await rp.signIn(agent);
    const again = await start(agent, { prompt: 'login' });
    const change = await agent.follow(
      await agent.get(`${world.issuer}/account/security/password`),
      world.issuer,
    );
    const confirm = await start(agent, { prompt: 'login' });
    const sent = await agent.submit(await agent.get(`${confirm.url}/email-code`), '/email-code');
    return [
      formWay(agent, again, '/password', password),
      formWay(agent, change, '/security/password', (number) => ({
        current: `a guess, number ${number}`,
        password: 'seven wandering lighthouses hum',
      })),
      formWay(agent, await agent.follow(sent, world.issuer), '/code', code),
    ];
  }

  const guess = (ways: readonly Way[]) =>
    Promise.all(
      Array.from({ length: GUESSES }, (_, number) =>
        ways[number % ways.length]!({
          base: replicas[Math.floor(number / ways.length) % replicas.length]!.url,
          number,
          headers: { 'x-forwarded-for': `10.2.${number % 4}.${number % 250}` },
        }),
      ),
    );

  /** What was compared with something, and was wrong. */
  async function judged(): Promise<string[]> {
    const rows = await app.db('events').where({ tenant_id: world.tenant.id });
    const failures = rows.filter(
      ({ type, reason }) =>
        type === 'user.login_failed' || (type === 'auth.code_refused' && reason === 'wrong'),
    );
    return failures.map(({ type }) => String(type));
  }

  /** Fewer where tries at a code that was spent took places of the burst, which they gave back too late for others. */
  function isWithinLimit(count: number): void {
    assert.ok(count > 0 && count <= LIMIT, String(count));
  }

  const statuses = (answers: readonly { status: number }[]) => [
    ...new Set(answers.map(({ status }) => status)),
  ];

  it('judges as many as may be wrong of a stranger’s, whatever they guess at and however they spell it', async () => {
    const ways = await strangersWays();

    const answers = await guess(ways);

    isWithinLimit((await judged()).length);
    assert.ok(answers.filter(({ status }) => status === 429).length >= GUESSES / 2);
    assert.ok(
      statuses(answers).every((status) => status < 500),
      String(statuses(answers)),
    );
  });

  it('judges as many of who is at a browser of the owner’s, by the sign-in, a code or the change of password', async () => {
    const ways = await thiefsWays();

    await guess(ways);

    isWithinLimit((await judged()).length);
  });

  it('lets in by the link of a mail who owns the account meanwhile', async () => {
    await guess(await strangersWays());
    const owner = createUserAgent();
    const first = await start(owner);
    await owner.submit(first, '/identifier', { username: rp.user.email });
    const before = sink.mails.length;
    await owner.submit(await owner.get(`${first.url}/email-code`), '/email-code');
    const mail = await sink.mailTo(rp.user.email, before);

    const opened = await owner.get(linkIn(mail));
    const answer = await owner.follow(await owner.submit(opened, '/link'), world.issuer);

    assert.match(answer.body, /Allow/);
  });
});
