import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { axeViolations, newPage, scrollsSideways } from '../support/browser.ts';
import { startSmtpSink } from '../support/smtp-sink.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';

describe('the development inbox', () => {
  let own: OwnDatabase;
  let app: TestApp;
  let tenant: TestTenant;

  before(async () => {
    own = await migratedDatabase();
    app = await startTestApp({ db: own.db });
    tenant = await app.tenant();
  });

  after(async () => {
    await app.close();
    await own.drop();
  });

  async function send(recipient: string): Promise<void> {
    await own.db.transaction((trx) =>
      app.services.mail.enqueue(trx, {
        tenantId: tenant.tenant.id,
        recipient,
        template: 'password_reset',
        locale: 'en',
        data: { code: '482913', url: `${tenant.issuer}/link?token=abc` },
        isRequested: false,
      }),
    );
    await app.services.mail.delivery.deliverDue();
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`shows what would have been sent, in ${colorScheme} colours and on a phone`, async () => {
      await send(`${colorScheme}@example.com`);
      const page = await newPage({ colorScheme, width: 360 });

      await page.goto(`${app.url}/dev/mail`);
      const listFaults = await axeViolations(page);
      await page
        .getByRole('link', { name: `${colorScheme}@example.com` })
        .first()
        .click();
      await page.getByText('482913').waitFor();
      const mailFaults = await axeViolations(page);
      const isWide = await scrollsSideways(page);
      await page.getByRole('link', { name: 'As HTML' }).click();
      await page.getByRole('heading', { name: 'Reset your password' }).waitFor();

      // A mail is a part of a mail program's page, which has the landmarks.
      const htmlFaults = (await axeViolations(page)).filter(
        (fault) => !/^(landmark-one-main|region) /.test(fault),
      );
      assert.deepEqual([listFaults, mailFaults, htmlFaults], [[], [], []]);
      assert.equal(isWide, false);
    });
  }

  it('has no other mail, and lets nothing run in one', async () => {
    await send('ana@example.com');
    const { id } = await own.db('mails').first('id');

    const html = await fetch(`${app.url}/dev/mail/${id}/html`);
    const unknown = await fetch(`${app.url}/dev/mail/${id.replace(/.$/, '0')}0`);

    assert.match(html.headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src/);
    assert.equal(unknown.status, 404);
  });

  it('does not exist where mails go to a server', async () => {
    const sink = await startSmtpSink();
    const other = await startTestApp({ db: own.db, env: { SMTP_URL: sink.url } });

    const response = await fetch(`${other.url}/dev/mail`);

    assert.equal(response.status, 404);
    await other.close();
    await sink.close();
  });
});
