import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { createTranslations } from '../../src/i18n/translations.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createSealer } from '../../src/lib/sealer.ts';
import { MAIL_TEMPLATES } from '../../src/notifications/mail.ts';
import type { NewMail } from '../../src/notifications/mail.ts';
import { createMailService } from '../../src/notifications/mail-service.ts';
import type { MailService } from '../../src/notifications/mail-service.ts';
import { createSmtpTransport } from '../../src/notifications/smtp-transport.ts';
import { parseSmtpUrl } from '../../src/notifications/smtp-url.ts';
import { memoryLog } from '../jobs/support.ts';
import { migratedDatabase, newTenant } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { codeIn, linkIn, startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';

const translations = createTranslations({ dir: join(import.meta.dirname, '../../locales') });
const sealer = createSealer(createKeyRing([Buffer.alloc(32, 7)]));

describe('mail delivery', () => {
  let own: OwnDatabase;
  let db: Knex;
  let sink: SmtpSink;
  let tenantId: string;
  let mail: MailService;

  // Every process delivers the mails of all tenants, so each test has a table for itself.
  beforeEach(async () => {
    own = await migratedDatabase();
    db = own.db;
    sink = await startSmtpSink();
    tenantId = (await newTenant(db, { name: 'Acme' })).id;
    mail = service();
  });

  afterEach(async () => {
    await mail.delivery.stop();
    await sink.close();
    await own.drop();
  });

  /** What readers saved as their language, by address. */
  const saved: Record<string, string> = { 'marie@example.com': 'fr-CA' };

  function service(url = sink.url): MailService {
    return createMailService({
      db,
      sealer,
      translations,
      settings: { from: 'no-reply@acme.example' },
      transport: createSmtpTransport(parseSmtpUrl(url)),
      readerLocale: async (_trx, _tenantId, recipient) => saved[recipient],
      log: memoryLog().log,
    });
  }

  const aMail = (fields: Partial<NewMail> = {}): NewMail => ({
    tenantId,
    recipient: 'ana@example.com',
    template: 'password_reset',
    locale: 'en',
    data: { code: '482913', url: 'https://auth.example/link?token=abc' },
    isRequested: true,
    ...fields,
  });
  const enqueue = (fields: Partial<NewMail> = {}) =>
    db.transaction((trx) => mail.enqueue(trx, aMail(fields)));
  const rows = () => db('mails').orderBy('created_at');
  const makeDue = () => db('mails').update({ next_attempt_at: db.fn.now() });

  it('brings text and HTML that say the same to one recipient', async () => {
    await enqueue();
    await mail.delivery.deliverDue();

    const [received] = sink.mails;
    assert.ok(received);
    assert.deepEqual(received.recipients, ['ana@example.com']);
    assert.equal(received.from, 'no-reply@acme.example');
    assert.equal(received.parsed.from?.text, '"Acme" <no-reply@acme.example>');
    assert.equal(received.parsed.subject, 'Reset your Acme password');
    assert.equal(received.parsed.headers.get('auto-submitted'), 'auto-generated');
    assert.equal(codeIn(received), '482913');
    assert.equal(linkIn(received), 'https://auth.example/link?token=abc');
    assert.match(String(received.parsed.html), />482913</);
    assert.match(String(received.parsed.html), /href="https:\/\/auth\.example\/link\?token=abc"/);
  });

  it('shows the code where lists of mails show the beginning', async () => {
    await enqueue();
    await mail.delivery.deliverDue();

    assert.match(sink.mails[0]?.parsed.text ?? '', /^Your code: 482913/);
    assert.match(String(sink.mails[0]?.parsed.html), /<div style="display:none[^>]*>Your code: 482913</);
  });

  it('keeps codes and links unreadable in the database, and only until they are sent', async () => {
    await enqueue();
    const [before] = await rows();
    await mail.delivery.deliverDue();
    const [after] = await rows();

    assert.ok(before.data_sealed);
    assert.doesNotMatch(JSON.stringify(before), /482913|token=abc/);
    assert.equal(after.status, 'sent');
    assert.equal(after.data_sealed, null);
  });

  it('writes in the language that the reader saved, else in that of whoever asked', async () => {
    await enqueue({ locale: 'de-AT' });
    await enqueue({ locale: 'de-AT', recipient: 'marie@example.com' });
    await mail.delivery.deliverDue();

    const subjects = sink.mails.map(({ parsed }) => parsed.subject);
    assert.deepEqual(
      new Set(subjects),
      new Set(['Passwort für Acme zurücksetzen', 'Réinitialiser votre mot de passe Acme']),
    );
  });

  it('writes every mail in every language', async () => {
    const data = { code: '482913', address: 'new@example.com' };
    for (const locale of translations.locales) {
      for (const template of MAIL_TEMPLATES) {
        await enqueue({ locale, template, data, isRequested: false });
      }
    }
    await mail.delivery.deliverDue();

    const sent = sink.mails.map(({ parsed }) => String(parsed.html));
    const arabic = sent.filter((html) => html.includes('<html lang="ar" dir="rtl">'));
    assert.equal(sent.length, translations.locales.length * MAIL_TEMPLATES.length);
    assert.equal(arabic.length, MAIL_TEMPLATES.length);
    assert.ok(arabic.every((html) => /[\u0600-\u06ff]/.test(html)));
  });

  it('starts after the commit by itself, and not without one', async () => {
    mail.delivery.start();
    await db
      .transaction(async (trx) => {
        await mail.enqueue(trx, aMail({ recipient: 'nobody@example.com' }));
        throw new Error('undone');
      })
      .catch(() => {});
    await enqueue();

    await sink.mailTo('ana@example.com');
    assert.equal(sink.mails.length, 1);
  });

  it('is done once by any number of processes at once', async () => {
    const addresses = Array.from({ length: 40 }, (_, index) => `person-${index}@example.com`);
    for (const recipient of addresses) await enqueue({ recipient });
    const others = [service(), service(), service()];

    await Promise.all([mail, ...others].map(({ delivery }) => delivery.deliverDue()));

    const reached = sink.mails.flatMap(({ recipients }) => recipients).toSorted();
    assert.deepEqual(reached, addresses.toSorted());
  });

  it('tries again later when the server says so, under the same Message-ID', async () => {
    const seen: (string | undefined)[] = [];
    sink.refuse = ({ parsed }) => {
      seen.push(parsed.messageId);
      return seen.length === 1 ? 451 : undefined;
    };
    await enqueue();

    await mail.delivery.deliverDue();
    const [waiting] = await rows();
    await mail.delivery.deliverDue();
    const tooEarly = seen.length;
    await makeDue();
    await mail.delivery.deliverDue();

    assert.equal(waiting.status, 'queued');
    assert.equal(waiting.last_error, 'deferred');
    assert.ok(waiting.next_attempt_at > new Date());
    assert.equal(tooEarly, 1);
    assert.equal(sink.mails.length, 1);
    assert.equal(seen[0], seen[1]);
    assert.match(seen[0] ?? '', /^<[0-9a-f-]{36}@acme\.example>$/);
  });

  it('survives a server that is down', async () => {
    await sink.close();
    await enqueue();
    await mail.delivery.deliverDue();
    const [waiting] = await rows();

    sink = await startSmtpSink();
    await makeDue();
    await service().delivery.deliverDue();

    assert.equal(waiting.last_error, 'unreachable');
    assert.equal(sink.mails.length, 1);
  });

  it('gives up what is refused for good at once, and records it without the address', async () => {
    sink.refuse = () => 550;
    await enqueue();

    await mail.delivery.deliverDue();

    const [row] = await rows();
    const [event] = await db('events').where({ tenant_id: tenantId, type: 'mail.failed' });
    assert.equal(row.status, 'failed');
    assert.equal(row.data_sealed, null);
    assert.equal(event.reason, 'rejected');
    assert.deepEqual(event.data, { template: 'password_reset', attempts: 1 });
  });

  it('gives up in the end', async () => {
    sink.refuse = () => 451;
    await enqueue();

    let tries = 0;
    for (; tries < 50 && (await rows())[0].status !== 'failed'; tries += 1) {
      await makeDue();
      await mail.delivery.deliverDue();
    }

    assert.equal(tries, 12);
    assert.equal((await db('events').where({ tenant_id: tenantId, type: 'mail.failed' })).length, 1);
  });

  it('takes over the mails of a process that died, once its claim has ended', async () => {
    await enqueue();
    await db('mails').update({
      status: 'sending',
      attempts: 1,
      next_attempt_at: db.raw("now() + interval '3 minutes'"),
    });

    await mail.delivery.deliverDue();
    const during = sink.mails.length;
    await makeDue();
    await mail.delivery.deliverDue();

    assert.equal(during, 0);
    assert.equal(sink.mails.length, 1);
  });

  it('sends one address no more than five mails an hour, whoever asks how often', async () => {
    const spellings = ['ana@example.com', 'ANA@example.com', 'Ana@Example.com'];
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, index) => enqueue({ recipient: spellings[index % 3] ?? '' })),
    );
    await mail.delivery.deliverDue();

    const refused = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.retryAfterSeconds]));
    assert.equal(sink.mails.length, 5);
    assert.equal(refused.length, 95);
    assert.ok(refused.every((seconds) => seconds > 3500 && seconds <= 3600));
    assert.equal((await enqueue({ recipient: 'somebody-else@example.com' })).ok, true);
  });

  it('holds no notice back, and counts one that is never sent like the others', async () => {
    for (let count = 0; count < 5; count += 1) await enqueue({ isWithheld: true });

    const asked = await enqueue();
    const notice = await enqueue({ template: 'password_changed', isRequested: false, data: {} });
    await mail.delivery.deliverDue();

    assert.equal(asked.ok, false);
    assert.equal(notice.ok, true);
    assert.deepEqual(
      sink.mails.map(({ parsed }) => parsed.subject),
      ['Your Acme password was changed'],
    );
  });

  it('makes one mail under one key', async () => {
    const key = { idempotencyKey: 'event-1', isRequested: false };
    const [first, second] = [await enqueue(key), await enqueue(key)];
    await mail.delivery.deliverDue();

    assert.deepEqual(first, second);
    assert.equal(sink.mails.length, 1);
  });

  for (const recipient of [
    'ana@example.com\r\nRCPT TO:<eve@example.com>',
    'ana@example.com, eve@example.com',
    '"ana@example.com eve"@example.com',
    'ana@example.com<eve@example.com>',
    'group:ana@example.com;',
    'ana@@example.com',
  ]) {
    it(`reaches nobody by the address ${JSON.stringify(recipient)}`, async () => {
      await enqueue({ recipient });
      await mail.delivery.deliverDue();

      assert.deepEqual(sink.mails, []);
      assert.equal((await rows())[0].status, 'failed');
    });
  }

  it('has one line for a name with line breaks, and no header out of it', async () => {
    await db('tenants').where({ id: tenantId }).update({ name: 'Acme\r\nBcc: eve@example.com' });
    await enqueue();
    await mail.delivery.deliverDue();

    assert.equal(sink.mails[0]?.parsed.subject, 'Reset your Acme Bcc: eve@example.com password');
    assert.equal(sink.mails[0]?.parsed.bcc, undefined);
    assert.deepEqual(sink.mails[0]?.recipients, ['ana@example.com']);
  });

  it('escapes what people named', async () => {
    await db('tenants').where({ id: tenantId }).update({ name: '<img src=x>&' });
    await enqueue();
    await mail.delivery.deliverDue();

    assert.match(String(sink.mails[0]?.parsed.html), /&lt;img src=x&gt;&amp;/);
    assert.doesNotMatch(String(sink.mails[0]?.parsed.html), /<img/);
  });

  it('sends nothing in clear where it must be encrypted', async () => {
    const transport = createSmtpTransport({ ...parseSmtpUrl(sink.url), tls: 'required' });
    const sending = transport.send({
      from: { name: '', address: 'no-reply@acme.example' },
      to: 'ana@example.com',
      messageId: '<1@acme.example>',
      subject: 'S',
      text: 'T',
      html: 'H',
    });

    await assert.rejects(sending, /no_tls|deferred/);
    assert.deepEqual(sink.mails, []);
  });
});

describe('the address of the mail server', () => {
  it('demands encryption everywhere but on loopback, unless told otherwise', () => {
    assert.equal(parseSmtpUrl('smtp://mail.example.com').tls, 'required');
    assert.equal(parseSmtpUrl('smtp://mail.example.com').port, 587);
    assert.equal(parseSmtpUrl('smtp://mail.example.com?starttls=optional').tls, 'offered');
    assert.equal(parseSmtpUrl('smtp://127.0.0.1:2525').tls, 'offered');
    assert.equal(parseSmtpUrl('smtp://127.0.0.1.example.com').tls, 'required');
    assert.equal(parseSmtpUrl('smtps://mail.example.com').tls, 'implicit');
    assert.equal(parseSmtpUrl('smtps://mail.example.com').port, 465);
  });

  it('may hold a name and a password', () => {
    const { user, password } = parseSmtpUrl('smtp://a%40b.example:p%3Ass@mail.example.com');
    assert.deepEqual([user, password], ['a@b.example', 'p:ss']);
  });
});
