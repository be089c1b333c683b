import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { createAccountRequestsJob } from '../../src/jobs/account-requests-job.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import { linkIn } from '../support/smtp-sink.ts';
import { growStale } from '../support/stale-session.ts';
import { startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { bothWays, enterPortal, heading, look, openPage, TIMEOUT_MS } from './support.ts';

describe('one’s own data', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  const runJob = () =>
    createAccountRequestsJob({
      exports: world.app.services.dataExports,
      deletions: world.app.services.accountDeletions,
    }).run(new AbortController().signal);

  async function confirm(page: Page): Promise<void> {
    await heading(page, 'Confirm it’s you');
    await page.getByLabel('Password', { exact: true }).fill(GOOD_PASSWORD);
    await page.getByRole('button', { name: 'Continue' }).click();
  }

  bothWays('is handed out as a file, to who proves again who they are', async (javaScript) => {
    const [page, { user }] = [await openPage({ javaScript }), await world.party()];
    await enterPortal(page, world, user, '/data');
    await look(page, 'data');

    await page.getByRole('button', { name: 'Ask for a copy' }).click();
    await page.getByText('Your copy is being made.').waitFor();
    await look(page, 'data-waiting');
    await runJob();
    await page.goto(linkIn(await world.sink.mailTo(user.email)));
    await page.getByText('Your copy was made').waitFor();
    await look(page, 'data-ready');
    await growStale(world.app.db, user.id);
    await page.getByRole('link', { name: 'Download' }).click();
    const [download] = await Promise.all([page.waitForEvent('download'), confirm(page)]);

    const { data } = JSON.parse(await readFile(await download.path(), 'utf8'));
    assert.equal(download.suggestedFilename(), 'my-data.json');
    assert.equal(data.users[0].email, user.email);
  });

  bothWays('ends with the account, unless its owner signs in again in time', async (javaScript) => {
    const [page, other] = [await openPage({ javaScript }), await openPage()];
    const { user } = await world.party();
    for (const each of [other, page]) await enterPortal(each, world, user, '/data');
    await growStale(world.app.db, user.id);

    await page.getByRole('link', { name: 'Delete my account' }).click();
    await confirm(page);
    await heading(page, 'Delete your account');
    await look(page, 'delete');
    await page.getByLabel('Email').fill('somebody@example.com');
    await page.getByRole('button', { name: 'Delete my account for good' }).click();
    await page.getByRole('alert').getByText('That is not the address of this account').waitFor();
    await look(page, 'delete-mismatch');
    const before = world.sink.mails.length;
    await page.getByLabel('Email').fill(user.email);
    await page.getByRole('button', { name: 'Delete my account for good' }).click();
    await heading(page, 'Your account will be deleted');
    await look(page, 'deleted');
    const mail = await world.sink.mailTo(user.email, before);
    await other.goto(`${world.tenant.issuer}/account`);
    await heading(other, 'Enter your password');

    await page.getByRole('link', { name: 'Sign in and keep the account' }).click();
    await heading(page, 'Enter your password');
    await page.getByLabel('Password', { exact: true }).fill(GOOD_PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Your account will not be deleted.').waitFor();
    await look(page, 'home-kept');

    assert.match(mail.parsed.subject ?? '', /will be deleted/);
    assert.deepEqual(await world.app.db('account_deletions').where({ user_id: user.id }), []);
  });
});
