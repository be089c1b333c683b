import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { startDemoServer } from './demo-server.ts';
import type { DemoServer } from './demo-server.ts';
import { GOOD_PASSWORD, heading, inspect, openPage, signIn, TIMEOUT_MS } from './support.ts';

describe('the set-up link', function () {
  this.timeout(TIMEOUT_MS);

  let server: DemoServer;

  beforeEach(async () => {
    server = await startDemoServer();
  });

  afterEach(() => server.close());

  async function fill(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
    await page.getByLabel('Your name').fill('Ana Ito');
    await page.getByLabel('Email').fill(email);
    await page.getByLabel('New password').fill(password);
    await page.getByRole('button', { name: 'Create administrator' }).click();
  }

  const administrators = async (): Promise<number> => {
    const rows = await server
      .db('events')
      .where({ type: 'admin.created' })
      .select<{ target_id: string }[]>('target_id');
    return rows.length;
  };

  for (const javaScript of [true, false]) {
    it(`as printed makes one administrator, and is dead then, ${javaScript ? 'with' : 'without'} JavaScript`, async () => {
      const page = await openPage({ javaScript });
      const look = async (name: string) => {
        if (javaScript) await inspect(page, `set-up-${name}`);
      };

      await page.goto(server.setupLink);
      await heading(page, 'Set up Gatehouse');
      await look('1-form');
      const address = page.url();
      await page.evaluate('document.forms[0].noValidate = true');
      await fill(page, { email: 'ana@example.com', password: 'hunter2' });
      await page.getByRole('alert').waitFor();
      await look('2-refused');
      const kept = [
        await page.getByLabel('Email').inputValue(),
        await page.getByLabel('New password').inputValue(),
        await page.title(),
      ];
      const meanwhile = await administrators();
      await fill(page, { email: 'ana@example.com', password: GOOD_PASSWORD });
      await heading(page, 'Set-up is done');
      await look('3-done');

      assert.ok(!address.includes('token'), 'the secret is out of the address');
      assert.deepEqual(kept.slice(0, 2), ['ana@example.com', '']);
      assert.match(kept[2] ?? '', /^Error: /);
      assert.equal(meanwhile, 0);
      assert.equal(await administrators(), 1);
      const stranger = await openPage();
      await stranger.goto(server.setupLink);
      await heading(stranger, 'This link was already used');
      if (javaScript) await inspect(stranger, 'set-up-4-used');
      await page.getByRole('link', { name: 'Open the demo' }).click();
      await heading(page, 'Try a sign-in');
      await page.goto(address);
      await heading(page, 'This link was already used');
    });
  }

  it('makes an administrator who can sign in', async () => {
    const page = await openPage();
    await page.goto(server.setupLink);
    await fill(page, { email: 'ana@example.com', password: GOOD_PASSWORD });
    await heading(page, 'Set-up is done');

    await page.goto(`${server.url}/demo/sign-in`);
    await signIn(page, 'ana@example.com', GOOD_PASSWORD);

    await heading(page, /^Demo application wants to access/);
  });

  it('is worth nothing to who does not have it', async () => {
    const page = await openPage();

    await page.goto(`${server.url}/setup`);
    await heading(page, 'This link has expired');
    await page.goto(`${server.setupLink.slice(0, -1)}`);
    await heading(page, 'This link has expired');

    assert.equal(await page.getByRole('textbox').count(), 0);
  });
});
