import assert from 'node:assert/strict';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startMailApp } from '../support/mail-app.ts';
import type { MailApp } from '../support/mail-app.ts';
import { codeIn } from '../support/smtp-sink.ts';
import { visitorOf } from './visitor.ts';

const PATH = '/security/first-password';
const NEW_PASSWORD = 'velvet harbour tundra nine';

describe('the first password of an account, at the portal', function () {
  this.timeout(60_000);
  let mailApp: MailApp;
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    mailApp = await startMailApp();
    ({ app, tenant } = mailApp);
  });
  after(() => mailApp.close());

  type Visitor = Awaited<ReturnType<typeof visitorOf>>;

  /** Somebody at the portal whose account has no password. */
  async function visitor(): Promise<Visitor> {
    const ana = await visitorOf(app, tenant);
    await ana.open();
    await app.db('password_credentials').where({ user_id: ana.user.id }).delete();
    return ana;
  }

  const signsIn = async ({ email }: Visitor, password: string) =>
    (await app.services.passwordSignIn.verify(mailApp.anyone(), { email, password })).ok;
  const changesOf = ({ user }: Visitor) =>
    app.db('events').where({ type: 'user.password_changed', target_id: user.id });

  it('is chosen where one would be changed, and told of by mail', async () => {
    const ana = await visitor();
    const security = await ana.agent.get(`${ana.base}/security`);
    const page = await ana.open('/security/password');

    const done = await ana.submit(page, PATH, { password: NEW_PASSWORD });

    assert.match(security.body, /\/security\/first-password"/);
    assert.equal(page.url, `${ana.base}${PATH}`);
    assert.ok(!page.body.includes('name="current"'));
    assert.equal(done.url, `${ana.base}/security?done=first-password`);
    assert.equal(await signsIn(ana, NEW_PASSWORD), true);
    assert.equal((await changesOf(ana)).length, 1);
    const notice = await mailApp.sink.mailTo(ana.email);
    assert.match(notice.parsed.subject ?? '', /password was changed/);
    assert.equal((await ana.agent.get(ana.base)).status, 200);
  });

  it('needs a fresh proof, for which a code is mailed, since there is no password', async () => {
    const ana = await visitor();
    await ana.growStale();

    const form = await ana.agent.post(`${ana.base}${PATH}`, { password: NEW_PASSWORD });
    const asked = await ana.follow(await ana.agent.get(`${ana.base}${PATH}`));
    const sent = await ana.submit(asked, '/email-code');
    const page = await ana.submit(sent, '/code', { code: codeIn(await mailApp.sink.mailTo(ana.email)) });

    assert.equal(form.status, 303);
    assert.equal((await changesOf(ana)).length, 0);
    assert.match(asked.body, /Confirm it’s you[^]*about to set a password/);
    assert.equal(page.url, `${ana.base}${PATH}`);
  });

  it('has to be as good as every other', async () => {
    const ana = await visitor();

    const { status, body } = await ana.submit(await ana.open(PATH), PATH, { password: 'short' });

    assert.equal(status, 422);
    assert.match(body, /at least 15 characters/);
    assert.equal((await changesOf(ana)).length, 0);
  });

  it('takes the place of none that there is', async () => {
    const ana = await visitor();
    const page = await ana.open(PATH);
    await app.services.users.setPassword(tenant.actor, ana.user.id, GOOD_PASSWORD, { keepsAccess: true });

    const refused = await ana.agent.submit(page, PATH, { password: NEW_PASSWORD });
    const shown = await ana.agent.get(`${ana.base}${PATH}`);

    assert.equal(refused.location, `${ana.base}/security/password`);
    assert.equal(shown.location, `${ana.base}/security/password`);
    assert.equal(await signsIn(ana, GOOD_PASSWORD), true);
    assert.equal(await signsIn(ana, NEW_PASSWORD), false);
  });

  it('is one, however many are sent at once', async () => {
    const ana = await visitor();
    const page = await ana.open(PATH);

    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, index) =>
        ana.agent.submit(page, PATH, { password: `${NEW_PASSWORD} ${index}` }),
      ),
    );

    const done = answers.filter(({ location }) => location?.endsWith('?done=first-password'));
    assert.equal(done.length, 1);
    assert.equal((await changesOf(ana)).length, 1);
  });
});
