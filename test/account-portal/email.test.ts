import assert from 'node:assert/strict';
import type { TestApp, TestTenant } from '../support/app.ts';
import { newAddress, startMailApp } from '../support/mail-app.ts';
import type { MailApp } from '../support/mail-app.ts';
import { codeIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { visitorOf } from './visitor.ts';

describe('the e-mail address at the account portal', function () {
  this.timeout(60_000);
  let mailApp: MailApp;
  let sink: SmtpSink;
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    mailApp = await startMailApp();
    ({ app, tenant, sink } = mailApp);
  });
  after(() => mailApp.close());

  const rowOf = (id: string) => app.db('users').where({ id }).first();

  it('is changed by the code sent to the new one, and the old one is told', async () => {
    const ana = await visitorOf(app, tenant);
    const newEmail = newAddress('example.org');

    const asked = await ana.submit(await ana.open('/email'), '/account/email', { email: newEmail });
    const wrong = await ana.submit(asked, '/email/change', { code: '000000' });
    const done = await ana.submit(wrong, '/email/change', { code: codeIn(await sink.mailTo(newEmail)) });
    await sink.mailTo(ana.email);

    assert.equal(asked.url, `${ana.base}/email/change`);
    assert.equal(wrong.status, 422);
    assert.equal(done.url, `${ana.base}/profile?done=email`);
    assert.equal((await rowOf(ana.user.id)).email, newEmail);
  });

  it('asks who one is before it is changed, if the last proof is older than five minutes', async () => {
    const ana = await visitorOf(app, tenant);
    await ana.open();
    await ana.growStale();

    const page = await ana.follow(await ana.agent.get(`${ana.base}/email`));
    const form = await ana.agent.post(`${ana.base}/email`, { email: 'eve@example.org' });

    assert.match(page.body, /Confirm it’s you[^]*about to change your email address/);
    assert.equal(form.status, 303);
    assert.equal((await rowOf(ana.user.id)).email, ana.email);
  });

  it('is confirmed by the code sent to it', async () => {
    const ana = await visitorOf(app, tenant, { emailVerified: false });

    const home = await ana.open();
    const asked = await ana.submit(await ana.open('/profile'), '/email/send');
    const done = await ana.submit(asked, '/email/verify', { code: codeIn(await sink.mailTo(ana.email)) });

    assert.match(home.body, /has not been confirmed yet\. <a href="[^"]*\/profile"/);
    assert.equal(done.url, `${ana.base}/profile?done=email`);
    assert.ok((await rowOf(ana.user.id)).email_verified_at);
  });

  it('refuses what is no address', async () => {
    const ana = await visitorOf(app, tenant);

    const { status, body } = await ana.submit(await ana.open('/email'), '/account/email', {
      email: 'nothing',
    });

    assert.equal(status, 422);
    assert.ok(body.includes('nothing'));
  });
});
